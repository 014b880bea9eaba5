package main

import (
	"fmt"
	"maps"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/posener/complete"
)

// completed answers a shell that asks what may come next on its command line, and reports whether one did.
func completed(parser *kong.Kong) (bool, error) {
	command, err := kongcompletion.Command(parser)
	if err != nil {
		return false, fmt.Errorf("building the completions: %w", err)
	}
	offerDefaults(&command, parser.Model.Node)
	c := complete.New(parser.Model.Name, command)
	c.Out = parser.Stdout
	return c.Complete(), nil
}

// offerDefaults lets a command offer, beside its subcommands, the flags of the one that is run when none is named.
func offerDefaults(command *complete.Command, node *kong.Node) {
	for _, child := range node.Children {
		if sub, ok := command.Sub[child.Name]; ok {
			offerDefaults(&sub, child)
			command.Sub[child.Name] = sub
		}
	}
	if node.DefaultCmd == nil {
		return
	}
	byDefault := command.Sub[node.DefaultCmd.Name]
	command.Flags = complete.Flags{}
	maps.Copy(command.Flags, byDefault.Flags)
	maps.Copy(command.Flags, byDefault.GlobalFlags)
	for flag := range command.GlobalFlags {
		delete(command.Flags, flag)
	}
}
