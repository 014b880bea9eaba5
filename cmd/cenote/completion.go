package main

import (
	"fmt"
	"maps"
	"slices"

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
	offerWords(&command)
	c := complete.New(parser.Model.Name, command)
	c.Out = parser.Stdout
	return c.Complete(), nil
}

// offerWords takes what is empty out of all that is offered: of the words of a flag that need not be given, one is.
func offerWords(command *complete.Command) {
	words := func(p complete.Predictor) complete.Predictor {
		if p == nil {
			return nil
		}
		return complete.PredictFunc(func(a complete.Args) []string {
			return slices.DeleteFunc(p.Predict(a), func(word string) bool { return word == "" })
		})
	}
	for name, sub := range command.Sub {
		offerWords(&sub)
		command.Sub[name] = sub
	}
	for _, flags := range []complete.Flags{command.Flags, command.GlobalFlags} {
		for name, p := range flags {
			flags[name] = words(p)
		}
	}
	command.Args = words(command.Args)
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
