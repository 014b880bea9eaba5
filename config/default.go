package config

import _ "embed" // for the default configuration and its feed

//go:embed default.yaml
var defaultText string

//go:embed starter.domains
var starterText string

// defaultYAML is the configuration of a server without a file.
func defaultYAML() []byte { return []byte(defaultText) }

// Starter is the feed of the default configuration: names of our own under .example, for trying the server.
func Starter() []byte { return []byte(starterText) }
