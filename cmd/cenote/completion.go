package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"cenote/config"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/posener/complete"
)

// completed answers a shell that asks what may come next on its command line, and reports whether one did.
func completed(parser *kong.Kong) (bool, error) {
	command, err := kongcompletion.Command(parser, kongcompletion.WithPredictors(named()))
	if err != nil {
		return false, fmt.Errorf("building the completions: %w", err)
	}
	offerDefaults(&command, parser.Model.Node)
	offerMore(&command, parser.Model.Node)
	offerWords(&command)
	c := complete.New(parser.Model.Name, command)
	c.Out = parser.Stdout
	return c.Complete(), nil
}

// named are the words that the configuration has for an argument with the tag predictor, or files.
func named() map[string]complete.Predictor {
	out := map[string]complete.Predictor{}
	for kind, names := range map[string]func(*config.Config) []string{
		"feed": feedNames, "policyzone": zoneNames, "view": viewNames, "key": keyNames, "zone": ownZoneNames, "reload": reloadNames,
	} {
		out[kind] = complete.PredictFunc(func(a complete.Args) []string { return names(configOf(a.All)) })
	}
	out["file"] = complete.PredictFiles("*")
	out["list"] = complete.PredictOr(out["feed"], out["file"])
	return out
}

// configOf is the configuration that a command line is about, as far as it can be read.
func configOf(words []string) *config.Config {
	path := os.Getenv("CENOTE_CONFIG")
	for i, word := range words {
		if name, value, ok := strings.Cut(word, "="); ok && name == "--config" {
			path = value
		} else if (word == "-c" || word == "--config") && i+1 < len(words) {
			path = words[i+1]
		}
	}
	if path == "" {
		c, err := config.Default()
		if err != nil {
			return new(config.Config)
		}
		return c
	}
	return config.Sketch(path)
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

// offerMore lets the last argument of a command, if it may be given many times, be completed each time, by what has not been given yet.
func offerMore(command *complete.Command, node *kong.Node) {
	for _, child := range node.Children {
		if sub, ok := command.Sub[child.Name]; ok {
			offerMore(&sub, child)
			command.Sub[child.Name] = sub
		}
	}
	args, ok := command.Args.(*kongcompletion.PositionalPredictor)
	last := len(node.Positional) - 1
	if !ok || last < 0 || !node.Positional[last].IsCumulative() {
		return
	}
	command.Args = complete.PredictFunc(func(a complete.Args) []string {
		more := *args
		more.Predictors = append(slices.Clip(more.Predictors), slices.Repeat(more.Predictors[last:], len(a.Completed))...)
		return slices.DeleteFunc(more.Predict(a), func(word string) bool { return slices.Contains(a.Completed, word) })
	})
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
