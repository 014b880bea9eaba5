// Command cenote is the protective DNS server and the tools of its operators in one binary.
//
// It owns the command line and the wiring: serve.go connects the rooms and is read from top to bottom; each other file is one
// subcommand. Commands about a running server (explain, sightings, feeds, reload, health) ask it over its Unix socket; check,
// compile, version and explain without a server work on files alone.
//
// Start reading at serve.go.
package main
