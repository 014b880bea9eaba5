package main

import (
	"fmt"
	"slices"

	"cenote/config"
	"cenote/spelling"
)

// checkKnown returns an error that says what there is if a name is none of it.
func checkKnown(what, name string, known []string) error {
	if slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("there is no %s %q; %s", what, name, spelling.Known(name, known))
}

// keyNames are the keys that clients may sign with.
func keyNames(c *config.Config) (names []string) {
	for _, k := range c.Keys {
		names = append(names, k.Name.Canonical().String())
	}
	return names
}

func feedNames(c *config.Config) (names []string) {
	for i := range c.Feeds {
		names = append(names, c.Feeds[i].Name)
	}
	return names
}

// zoneNames are the policy zones as evidence has them: those of a view with the view's name before them.
func zoneNames(c *config.Config) (names []string) {
	for i := range c.Policy.Zones {
		names = append(names, c.Policy.Zones[i].Name)
	}
	for i := range c.Policy.Views {
		for j := range c.Policy.Views[i].Zones {
			names = append(names, c.Policy.Views[i].Name+"/"+c.Policy.Views[i].Zones[j].Name)
		}
	}
	return names
}

func viewNames(c *config.Config) (names []string) {
	for i := range c.Policy.Views {
		names = append(names, c.Policy.Views[i].Name)
	}
	return names
}

// reloadNames are what can be loaded again by its name: feeds, and zones with a file; with their kind too where a feed and a zone have one name.
func reloadNames(c *config.Config) []string {
	names := feedNames(c)
	for i := range c.Zones {
		if c.Zones[i].File == "" {
			continue
		}
		name := c.Zones[i].Name.String()
		if slices.Contains(names, name) {
			names = append(names, "feed:"+name, "zone:"+name)
			continue
		}
		names = append(names, name)
	}
	return names
}

// ownZoneNames are the zones that are served with authority.
func ownZoneNames(c *config.Config) (names []string) {
	for i := range c.Zones {
		names = append(names, c.Zones[i].Name.String())
	}
	return names
}
