package main

import (
	"bytes"
	"strings"
	"testing"

	"cenote/config"
)

// TestLogChangesAtReload: level and format change for loggers that were derived before, too.
func TestLogChangesAtReload(t *testing.T) {
	var out bytes.Buffer
	c := new(config.Config)
	c.Log.Level, c.Log.Format = config.LevelInfo, config.LogText
	log, settings := newLogger(c, &out)
	derived := log.With("feed", "ours")
	line := func() string {
		defer out.Reset()
		derived.Debug("a detail")
		derived.Warn("something")
		return out.String()
	}
	if got := line(); strings.Contains(got, "a detail") || !strings.Contains(got, "msg=something feed=ours") {
		t.Errorf("at info, as text: %q", got)
	}
	c.Log.Level, c.Log.Format = config.LevelDebug, config.LogJSON
	settings.set(c)
	if got := line(); !strings.Contains(got, `"a detail"`) || !strings.Contains(got, `"msg":"something","feed":"ours"`) {
		t.Errorf("at debug, as JSON: %q", got)
	}
}
