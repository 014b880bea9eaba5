package zone_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	gocmp "github.com/google/go-cmp/cmp"
)

const catalogHead = "$TTL 0\n@ NS invalid.\n"

const catalogSOA = "@ SOA invalid. invalid. 1 300 60 1209600 0\n"

// catalogZone is a catalog of a text, which need not be a good one.
func catalogZone(t testing.TB, apex, text string) *zone.Zone {
	t.Helper()
	if !strings.Contains(text, "SOA") {
		text = catalogSOA + text
	}
	z, faults, err := zone.Read(dnsname.MustParse(apex), strings.NewReader(catalogHead+text), "catalog", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err, faults)
	}
	return z
}

// TestCatalogsAreRead reads catalogs that are good, and tells what is wrong with others.
func TestCatalogsAreRead(t *testing.T) {
	const version = "version TXT 2\n"
	for name, tc := range map[string]struct{ text, want string }{
		"no member":                   {version, ""},
		"members and properties":      {version + "a.zones PTR B.Example.\nb.zones PTR a.example.\ngroup.b.zones TXT two\ngroup.b.zones TXT o ne\ncoo.a.zones PTR Next.example.\n", "a.example b [one two] -; b.example a [] next.example"},
		"what is not known":           {version + "a.zones PTR a.example.\na.zones TXT x\next.a.zones TXT x\nx.ext.a.zones PTR x.\ngroup.a.zones PTR x.\ncoo.a.zones TXT x\nx PTR y.\nzones PTR z.\nv.version TXT 1\n", "a.example a [] -"},
		"a property without a member": {version + "group.a.zones TXT x\nb.zones TXT x\ncoo.b.zones PTR x.\n", ""},
		"the root":                    {version + "a.zones PTR .\n", ". a [] -"},
		"no version":                  {"a.zones PTR a.example.\n", "it has no version"},
		"a version that is no text":   {"version PTR 2.\n", "it has no version"},
		"an old version":              {"version TXT 1\na.zones PTR a.example.\n", `its version is "1", and 2 alone is known`},
		"two versions":                {version + "version TXT 1\n", "it has 2 versions"},
		"a version in two strings":    {"version TXT 2 0\n", `its version is "20", and 2 alone is known`},
		"two zones of one node":       {version + "a.zones PTR a.example.\na.zones PTR b.example.\n", `the node "a" lists 2 zones, and not one`},
		"one zone of two nodes":       {version + "a.zones PTR a.example.\nb.zones PTR A.example.\n", "it lists a.example twice"},
		"two owners":                  {version + "a.zones PTR a.example.\ncoo.a.zones PTR x.\ncoo.a.zones PTR y.\n", "it names 2 owners of a.example, and not one"},
		"too many":                    {version + "a.zones PTR a.\nb.zones PTR b.\nc.zones PTR c.\nd.zones PTR d.\n", "it lists more than 3 zones"},
	} {
		t.Run(name, func(t *testing.T) {
			members, err := zone.ReadCatalog(catalogZone(t, "catalog.example", tc.text), 3)
			got := catalogText(members)
			if err != nil {
				if got = strings.TrimPrefix(err.Error(), "the catalog is broken: "); !errors.Is(err, zone.ErrCatalog) || members != nil {
					t.Errorf("%v, with %v", err, members)
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func catalogText(members []zone.CatalogMember) string {
	var out []string
	for _, m := range members {
		owner := "-"
		if !m.Owner.IsZero() {
			owner = m.Owner.String()
		}
		out = append(out, fmt.Sprint(m.Name, " ", m.ID, " ", m.Groups, " ", owner))
	}
	return strings.Join(out, "; ")
}

// TestMadeCatalogIsRead makes a catalog and reads it again; a member's label is always the same, and no other's.
func TestMadeCatalogIsRead(t *testing.T) {
	apex := dnsname.MustParse("catalog.example")
	want := []zone.CatalogMember{
		{Name: dnsname.MustParse("b.example"), Groups: []string{"edge"}, Owner: dnsname.MustParse("next.example")},
		{Name: dnsname.MustParse("a.example"), Groups: []string{"", "two"}}, {Name: dnsname.Root},
	}
	z, err := zone.MakeCatalog(apex, 7, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := zone.ReadCatalog(z, 10)
	if err != nil || z.Serial() != 7 {
		t.Fatal(err, z.Serial())
	}
	ids := map[string]bool{}
	for i := range got {
		ids[got[i].ID] = true
		got[i].ID = ""
	}
	slices.SortFunc(want, func(a, b zone.CatalogMember) int { return dnsname.Compare(a.Name, b.Name) })
	if diff := gocmp.Diff(want, got); diff != "" || len(ids) != 3 {
		t.Errorf("%d labels; (-want +got)\n%s", len(ids), diff)
	}
	var out bytes.Buffer
	again, _ := zone.MakeCatalog(apex, 7, want)
	if err := cmp.Or(z.WriteMaster(&out)); err != nil || !zone.SameData(z, again) || !strings.Contains(out.String(), "lt0o3efsiu8ueo14ienlgdk1a9omnc5u.zones") {
		t.Errorf("%v\n%s", err, &out)
	}
	long := dnsname.MustParse(strings.Repeat("a234567.", 26) + "example")
	if _, err := zone.MakeCatalog(long, 1, want); err == nil {
		t.Error("a catalog whose names are too long was made")
	}
	if _, err := zone.MakeCatalog(apex, 1, []zone.CatalogMember{{Name: apex, Groups: []string{strings.Repeat("x", 256)}}}); err == nil {
		t.Error("a group that is too long was written")
	}
}

// FuzzReadCatalog holds that no catalog is read as anything but zones, each once, and that what was read can be made and read again.
func FuzzReadCatalog(f *testing.F) {
	for _, text := range []string{
		"version TXT 2\na.zones PTR a.example.\ngroup.a.zones TXT x\ncoo.a.zones PTR b.\n", "version TXT \"\"\n", "version TYPE16 \\# 0\n", "a.zones TYPE12 \\# 1 00\n",
		"version TXT 2\na\\.b.zones PTR c.\n*.zones PTR d.\n", "version TXT 2\na.zones PTR \\000.\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		apex := dnsname.MustParse("catalog.example")
		z, _, err := zone.Read(apex, strings.NewReader(catalogHead+catalogSOA+text), "catalog", time.Unix(0, 0))
		if err != nil {
			return
		}
		members, err := zone.ReadCatalog(z, 20)
		if err != nil {
			return
		}
		names, ids := map[dnsname.Name]bool{}, map[string]bool{}
		for _, m := range members {
			names[m.Name], ids[m.ID] = true, true
		}
		if len(names) != len(members) || len(ids) != len(members) || len(members) > 20 {
			t.Fatalf("%d names and %d labels of %d members", len(names), len(ids), len(members))
		}
		for _, m := range members {
			if slices.ContainsFunc(m.Groups, func(g string) bool { return len(g) > 255 }) {
				return // of several strings
			}
		}
		made, err := zone.MakeCatalog(apex, 1, members)
		if err != nil {
			t.Fatal(err)
		}
		again, err := zone.ReadCatalog(made, 20)
		if catalogText(again) != catalogText(members) || err != nil {
			t.Fatalf("%v: %s, and before %s", err, catalogText(again), catalogText(members))
		}
	})
}
