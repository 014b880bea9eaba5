package blocklist_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/blocklist"
)

// realIntel is a document of the data set, and what it comes to: how many rows are served, and how many are not, by reason.
type realIntel struct {
	name, format string
	live         int
	faults       string
}

// realIntels are the documents of STIX and MISP. The numbers were counted by a script that shares nothing with the code: it loads each file whole
// and tells the attributes by their types and the patterns by one regular expression.
func realIntels() []realIntel {
	return []realIntel{
		{"misp-feed/59387629-3d68-430c-ae55-15f50a016219.json", "misp", 168, "other-type=172"},
		{"misp-feed/59dbf0f6-3203-413a-9fbc-7960b592e4cf.json", "misp", 0, "other-type=123 not-for-detection=68"},
		{"misp-feed/5a610659-d718-4a1f-b020-04d80a016219.json", "misp", 0, "other-type=24 not-for-detection=87"},
		{"misp-feed/5aa2e21b-79d8-4fd7-b15d-34670a016219.json", "misp", 318, "other-type=7"},
		{"misp-feed/5d9b516c-e5f0-4e7c-a958-5d8c0a019371.json", "misp", 0, "other-type=32 not-for-detection=69"},
		{"misp-feed/86375dc4-8c95-469a-aaf2-e20b0dfefb41.json", "misp", 0, "url=3 other-type=27 not-for-detection=70"},
		{"misp-feed/e3835720-0f14-44ee-84bf-10cb39de6ebd.json", "misp", 0, "other-type=39 not-for-detection=32"},
		{"misp-feed/ea593018-b2e9-4e7e-8da9-cc20a751e3f6.json", "misp", 1, "url=10 other-type=312 not-for-detection=17"},
		{"misp-feed", "misp", 487, "url=13 other-type=736 not-for-detection=343"},
		{"stix/amnesty/android_campaign.stix2.gz", "stix", 2183, "other-type=4"},
		{"stix/amnesty/cytrox.stix2", "stix", 336, "other-type=7"},
		{"stix/oasis-examples/indicators-for-C2-with-COA.json", "stix", 0, "other-type=1 special-address=1"},
		{"stix/oasis-examples/infrastructure.json", "stix", 0, ""},
		{"stix/unit42/2024-01-31-AZOrult.json", "stix", 1, "url=7 other-type=12"},
		{"stix/unit42/2024-02-14-Danabot.json", "stix", 6, "url=5 other-type=3"},
		{"stix/unit42/2024-02-21-AsyncRAT.json", "stix", 13, "url=3 other-type=3"},
		{"stix/unit42/2024-03-06-Pikabot-with-Meduza-Stealer.json", "stix", 15, "url=8 other-type=8"},
		{"stix/unit42/2024-03-07-Latrodectus-with-Lumma-Stealer.json", "stix", 7, "url=10 other-type=7"},
		{"stix/unit42/2024-03-26-Matanbuchus-with-Danabot.json", "stix", 7, "url=8 other-type=7"},
		{"stix/unit42/2024-06-12-KoiLoader-KoiStealer.json", "stix", 1, "url=19 other-type=4"},
		{"stix/unit42/2024-06-24-ClickFix-sends-Lumma-Stealer.json", "stix", 4, "url=3 other-type=4"},
		{"stix/unit42/2024-08-01-cryptocurrency-phishing-scams.json", "stix", 49, ""},
		{"stix/unit42/2024-08-28-Lumma-Stealer.json", "stix", 2, "url=14 other-type=3"},
		{"stix/unit42/matanbuchus-loader.json", "stix", 42, "url=3 regex=1 other-type=7"},
	}
}

// faultCounts writes how many rows were not served, in the order of the reasons.
func faultCounts(r blocklist.Report) string {
	var parts []string
	for reason := blocklist.ReasonNone; reason <= blocklist.ReasonHeld; reason++ {
		if c := r.Faults[reason]; c != nil {
			parts = append(parts, fmt.Sprintf("%s=%d", reason, c.Count))
		}
	}
	return strings.Join(parts, " ")
}

func TestRealIntel(t *testing.T) {
	for _, tc := range realIntels() {
		t.Run(tc.name, func(t *testing.T) {
			_, r, err := readFeed(t, blocklist.FeedConfig{Path: sharedData(t, "intel/"+tc.name)})
			if tc.live == 0 && !errors.Is(err, blocklist.ErrEmpty) || tc.live > 0 && err != nil {
				t.Errorf("error = %v", err)
			}
			if got := faultCounts(r); r.Format != tc.format || r.Live != tc.live || got != tc.faults {
				t.Errorf("read as %s: %d live, %s; want %s: %d, %s", r.Format, r.Live, got, tc.format, tc.live, tc.faults)
			}
		})
	}
}

// TestRealIntelIsAllKnown reads everything else beside STIX and MISP, such as schemas: none of it is taken for a list.
func TestRealIntelIsAllKnown(t *testing.T) {
	files, root := 0, sharedData(t, "intel")
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), "LICENSE") {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if slices.ContainsFunc(realIntels(), func(r realIntel) bool { return r.name == name }) {
			return nil
		}
		want := blocklist.ErrJSON
		if entry.Name() == "hashes.csv" {
			want = blocklist.ErrUnknownFormat
		}
		if _, _, err := readFeed(t, blocklist.FeedConfig{Path: path}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		files++
		return nil
	}))
	if files < 50 {
		t.Errorf("only %d files", files)
	}
}

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
