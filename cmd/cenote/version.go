package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker (-ldflags "-X main.version=1.2.3") in releases.
var version = ""

// build is what this binary is made of.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

type versionCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run prints the version.
func (c *versionCommand) Run(std streams) error {
	b := thisBuild()
	if c.JSON {
		return json.NewEncoder(std.out).Encode(b)
	}
	_, err := fmt.Fprintf(std.out, "cenote %s (%s, %s)\n", b, b.Go, b.Platform)
	return err
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the version as people quote it.
func (b build) String() string {
	v := b.Version
	if v == "" {
		v = "development"
	}
	if len(b.Revision) >= 12 {
		v += " " + b.Revision[:12]
	}
	if b.Modified {
		v += " with changes"
	}
	return v
}
