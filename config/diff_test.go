package config_test

import (
	"fmt"
	"testing"

	"cenote/config"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	for name, tc := range map[string]struct {
		more string
		want []string
	}{
		"nothing":         {"", nil},
		"same as default": {"tcp: {pipeline: 64}", nil},
		"live":            {"cache: {ttl_max: 2h}", []string{"cache.ttl_max: 24h0m0s -> 2h0m0s live"}},
		"needs a socket":  {"listen: [127.0.0.9]", []string{"listen: [{127.0.0.1:53 true true { }} {[::1]:53 true true { }}] -> [{127.0.0.9:53 true true { }}] restart"}},
		"one and another": {"limits: {workers: 3}\ntcp: {idle: 20s}", []string{"tcp.idle: 10s -> 20s live", "limits.workers: 0 -> 3 restart"}},
		"feed added":      {"feeds: [{name: malware, path: malware.hosts}, {name: new, path: x}]", []string{"feeds: [malware] -> [malware new] live"}},
		"feed in one key": {"feeds: [{name: malware, path: malware.hosts, format: rpz}]", []string{"feeds[malware].format: auto -> rpz live"}},
	} {
		t.Run(name, func(t *testing.T) {
			older, newer := parse(t, base), parse(t, replaceKeys(base, tc.more))
			var got []string
			for _, c := range config.Diff(older, newer) {
				when := "live"
				if c.Restart {
					when = "restart"
				}
				got = append(got, fmt.Sprintf("%v %s", c, when))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestNeedsRestart(t *testing.T) {
	changes := config.Diff(parse(t, base), parse(t, base+"limits: {workers: 3}\ncache: {ttl_max: 2h}"))
	got := config.NeedsRestart(changes)
	if len(got) != 1 || got[0].Key != "limits.workers" {
		t.Errorf("got %v, want limits.workers alone", got)
	}
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// replaceKeys puts more behind text, and takes the feeds out of text if more has them.
func replaceKeys(text, more string) string {
	const feeds = "feeds:\n  - {name: malware, path: malware.hosts}\n"
	if len(more) > 6 && more[:6] == "feeds:" {
		text = text[:len("\nupstreams: [192.0.2.53]\n")] + text[len("\nupstreams: [192.0.2.53]\n")+len(feeds):]
	}
	return text + more + "\n"
}
