// Package config is the file an operator writes: its shape, its defaults, its checks and its reference.
//
// It owns the YAML reader (strict: an unknown key is a fault, and all faults are reported together with line, column and
// hint), the typed values (sizes, shares, rates, prefixes, enums), the checks across keys, the embedded default that
// serves without any file, and the comparison of two configurations for a reload. The Go comments and tags on the
// fields are the reference: docs/config.md, docs/cenote.example.yaml and docs/config.schema.json are made from them.
// What a value does is left to the room it configures; only cmd/cenote reads a Config.
//
// The structs are plain values; every function may be called from any goroutine.
//
// Start reading at Config, then Parse.
package config
