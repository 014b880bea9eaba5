package main

import (
	"slices"
	"testing"

	"cenote/config"
)

func TestSetupText(t *testing.T) {
	for name, tc := range map[string]struct {
		setup setup
		check func(*config.Config) bool
	}{
		"default": {setup{}, func(c *config.Config) bool {
			return len(c.Feeds) == 1 && len(c.Policy.Zones) == 1 && c.Cache.Size == 256<<20 && c.QueryLog.Mode.String() == "off"
		}},
		"cache": {setup{cache: 3<<30 + 1}, func(c *config.Config) bool { return c.Cache.Size == 3<<30+1024 }},
		"child": {setup{compile: "1"}, func(c *config.Config) bool { return slices.Equal(c.Compile.Processors, []int{1}) }},
		"log":   {setup{logAll: true}, func(c *config.Config) bool { return c.QueryLog.Mode.String() == "all" }},
		"feeds": {setup{feeds: []feed{{"a", "a.txt"}, {"b", "b.txt"}}}, func(c *config.Config) bool {
			return len(c.Feeds) == 2 && c.Feeds[1].Path == "/bench/b.txt" && slices.Equal(c.Policy.Zones[0].Feeds, []string{"a", "b"})
		}},
		"zones": {setup{zones: [][]string{{"bench"}, {"bench"}}}, func(c *config.Config) bool {
			return len(c.Policy.Zones) == 2 && slices.Equal(c.Policy.Zones[1].Feeds, []string{"bench"})
		}},
		"views": {setup{views: 3}, func(c *config.Config) bool {
			v := c.Policy.Views
			return len(v) == 3 && len(v[2].Clients) == 3 && v[0].Clients[0].String() == "127.1.0.1/32" && v[2].Clients[0] == loadClients && slices.Equal(v[1].Zones[0].Feeds, []string{"bench"})
		}},
	} {
		tc.setup.dir, tc.setup.upstream = "/bench", "127.0.53.1:53"
		c, _, err := config.Parse("/bench/cenote.yaml", []byte(tc.setup.text()))
		if err != nil {
			t.Errorf("%s: %v in\n%s", name, err, tc.setup.text())
		} else if !tc.check(c) {
			t.Errorf("%s: the file means something else:\n%s", name, tc.setup.text())
		}
	}
}
