package config

import "net/netip"

// API is how people and programs talk to the running server.
type API struct {
	// Socket is the Unix socket that the command line uses. Without the key it is cenote.sock in the state directory.
	Socket Path `yaml:"socket" reload:"restart" example:"/run/cenote/cenote.sock"`
	// SocketMode is the permission of the socket: who may write to it can reload, decide of held rows, and read which client was seen with what.
	SocketMode Mode `yaml:"socket_mode" default:"0600" example:"0660"`
	// HTTP is an address for metrics, health and the same interface over HTTP. Without the key there is none.
	HTTP netip.AddrPort `yaml:"http" port:"5380" reload:"restart" example:"127.0.0.1:5380"`
	// TokenFile holds, on one line, the bearer token that HTTP clients must send. It is required where `http` is not on loopback;
	// /healthz and /readyz need none. A reload reads it again.
	TokenFile Path `yaml:"token_file" example:"/etc/cenote/api.token"`
}

// Log is the server's own log, on standard error.
type Log struct {
	// Level is the least important line that is written.
	Level LogLevel `yaml:"level" default:"info"`
	// Format is `text` for people and `json` for programs.
	Format LogFormat `yaml:"format" default:"text" example:"json"`
}
