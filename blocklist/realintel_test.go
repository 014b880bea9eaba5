package blocklist_test

import (
	"fmt"
	"testing"

	"cenote/blocklist"
)

// TestRealIntelFamilies holds what the publishers say of their indicators, and that nothing is guessed where they say nothing.
func TestRealIntelFamilies(t *testing.T) {
	for name, want := range map[string]map[string]int{
		"stix/amnesty/cytrox.stix2":                                  {"Predator": 336},
		"stix/amnesty/android_campaign.stix2.gz":                     {"MercenarySpywareCampaign": 2183},
		"stix/unit42/2024-03-07-Latrodectus-with-Lumma-Stealer.json": {"": 7},
		"misp-feed": {"Stantinko": 168, "Glupteba": 318, "": 1},
	} {
		got := familySink{}
		if _, err := blocklist.ReadFeed(t.Context(), blocklist.FeedConfig{Name: "intel", Path: sharedData(t, "intel/"+name)}, got); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(familySink(want)) {
			t.Errorf("%s: families %v, want %v", name, got, want)
		}
	}
}

// familySink counts rows by family.
type familySink map[string]int

func (s familySink) Indicator(i *blocklist.Indicator) error { s[i.Family]++; return nil }
func (s familySink) Fault(blocklist.Fault)                  {}
