package zone_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/prometheus/client_golang/prometheus"
)

// fleet is a server that follows two catalogs, old.test and new.test, whose zones a test puts in place; nothing is asked over the network.
type fleet struct {
	*zone.Keeper
	t    *testing.T
	dir  string
	log  *lines
	all  *zone.Secondaries
	them *zone.Catalogs
	most int
	sub  []string // the catalogs, in their order
	// wants says which names a catalog may list; nil: those below example.
	wants func(catalog string, name dnsname.Name) bool
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, dir: filepath.Join(t.TempDir(), "zones"), most: 5, sub: []string{"old.test", "new.test"}}
	f.start()
	return f
}

// start begins again with what lies in the directory.
func (f *fleet) start() {
	f.t.Helper()
	f.log = new(lines)
	sources, taken, subscriptions := f.configuration()
	var err error
	f.Keeper, err = zone.NewKeeper(zone.KeeperConfig{Sources: sources, Dir: f.dir, Log: slog.New(slog.NewTextHandler(f.log, nil))})
	if err != nil {
		f.t.Fatal(err)
	}
	f.all = zone.NewSecondaries(f.Keeper, taken)
	f.them = zone.NewCatalogs(f.Keeper, f.all)
	if err := f.them.Update(sources, taken, subscriptions); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) configuration() (sources []zone.Source, taken []zone.Secondary, subscriptions []zone.Subscription) {
	primaries := []zone.Primary{{Addr: netip.MustParseAddrPort("127.0.0.1:1")}}
	sources = []zone.Source{{Name: dnsname.MustParse("fixed.example"), Origin: "a test"}}
	for _, name := range f.sub {
		apex := dnsname.MustParse(name)
		sources, taken = append(sources, zone.Source{Name: apex, Origin: "a test"}), append(taken, zone.Secondary{Name: apex, Primaries: primaries})
		subscriptions = append(subscriptions, zone.Subscription{
			Catalog: apex, Most: f.most, ShrinkMax: 0.5, Wants: func(n dnsname.Name) bool {
				if f.wants != nil {
					return f.wants(name, n)
				}
				return n.IsBelow(dnsname.MustParse("example"))
			},
			Make: func(*zone.CatalogMember) (zone.Source, zone.Secondary) {
				return zone.Source{Origin: name}, zone.Secondary{Primaries: primaries}
			},
		})
	}
	return sources, taken, subscriptions
}

// catalog puts the next version of a catalog in place, and follows it. Lines are its records but for the head and, unless they say it, the version.
func (f *fleet) catalog(apex string, serial int, lines ...string) {
	f.t.Helper()
	text := strings.Join(lines, "\n") + "\n"
	if !strings.Contains(text, "version") {
		text += "version TXT 2\n"
	}
	if err := f.Install(catalogZone(f.t, apex, "@ 0 SOA invalid. invalid. "+strconv.Itoa(serial)+" 300 60 1209600 0\n"+text)); err != nil {
		f.t.Fatal(err)
	}
	f.them.Look()
}

// put gives a member a state, as a transfer does.
func (f *fleet) put(apex string) {
	f.t.Helper()
	if err := f.Install(load(f.t, apex, serial("1", "192.0.2.1"))); err != nil {
		f.t.Fatal(err)
	}
}

// expect compares the members that are served, such as "a.example(old.test,served)".
func (f *fleet) expect(what, want string) {
	f.t.Helper()
	var got []string
	for _, s := range f.Status() {
		if s.Catalog == "" {
			continue
		}
		got = append(got, fmt.Sprintf("%s(%s,%s)", s.Name, s.Catalog, s.State))
		if !f.all.Follows(dnsname.MustParse(s.Name)) {
			f.t.Errorf("%s: %s is taken from nobody", what, s.Name)
		}
	}
	slices.Sort(got)
	if text := strings.Join(got, " "); text != want {
		f.t.Errorf("%s: %s, want %s", what, text, want)
	}
}

func (f *fleet) status(apex string) zone.Status {
	f.t.Helper()
	all := f.Status()
	return all[slices.IndexFunc(all, func(s zone.Status) bool { return s.Name == apex })]
}

// files are how many journals of members there are.
func (f *fleet) files() int {
	files, err := os.ReadDir(filepath.Join(f.dir, "members"))
	if err != nil {
		f.t.Fatal(err)
	}
	return len(files)
}

// TestMembersComeAndGo follows the zones of a catalog: they are served as soon as they have a state, outlive a restart, and leave nothing behind.
func TestMembersComeAndGo(t *testing.T) {
	f := newFleet(t)
	f.expect("at the beginning", "")
	f.catalog("old.test", 1, "1.zones PTR a.example.", "2.zones PTR b.example.")
	f.expect("before they have a state", "a.example(old.test,failed) b.example(old.test,failed)")
	f.put("a.example")
	f.put("b.example")
	f.expect("then", "a.example(old.test,served) b.example(old.test,served)")
	if s := f.status("old.test"); s.Members != 2 || s.Ignored != 0 || s.Broken != "" {
		t.Errorf("%+v", s)
	}
	f.start()
	f.expect("after a restart", "a.example(old.test,served) b.example(old.test,served)")
	f.catalog("old.test", 2, "2.zones PTR b.example.", "3.zones PTR c.example.")
	f.expect("after another version", "b.example(old.test,served) c.example(old.test,failed)")
	if n := f.files(); n != 1 {
		t.Errorf("%d journals of members, want that of b.example alone", n)
	}
	if f.all.Follows(dnsname.MustParse("a.example")) {
		t.Error("a zone that is no member any more is taken from primaries")
	}
	if got := counted(t, f.them, "cenote_zone_catalog_members", "served"); got != 2 {
		t.Errorf("%v members are counted", got)
	}
	if got := counted(t, f.them, "cenote_zone_catalog_versions_total", "followed"); got < 1 {
		t.Errorf("%v versions are counted", got)
	}
}

// counted is the value of a metric with one label.
func counted(t *testing.T, c prometheus.Collector, name, label string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %s", name, label)
	return 0
}

// TestAnotherLabelIsAnotherZone holds that nothing counts which is kept of a member whose label has changed (RFC 9432 section 5.4).
func TestAnotherLabelIsAnotherZone(t *testing.T) {
	f := newFleet(t)
	f.catalog("old.test", 1, "1.zones PTR a.example.", "2.zones PTR b.example.")
	f.put("a.example")
	f.put("b.example")
	f.catalog("old.test", 2, "9.zones PTR a.example.", "2.zones PTR b.example.")
	f.expect("after the label has changed", "a.example(old.test,failed) b.example(old.test,served)")
	f.put("a.example")
	f.start()
	f.expect("after a restart", "a.example(old.test,served) b.example(old.test,served)")
	if n := f.files(); n != 2 {
		t.Errorf("%d journals of members", n)
	}
}

// TestBrokenCatalogChangesNothing holds that the zones of the last good version are served, after a restart too, until there is another good one.
func TestBrokenCatalogChangesNothing(t *testing.T) {
	f := newFleet(t)
	f.catalog("old.test", 1, "1.zones PTR a.example.")
	f.put("a.example")
	for i, broken := range []string{"version TXT 1", "version TXT 2\nversion TXT 1", "1.zones PTR a.example.\n1.zones PTR b.example.", "1.zones PTR a.example.\n2.zones PTR a.example."} {
		f.catalog("old.test", 2+i, broken)
		f.expect(broken, "a.example(old.test,served)")
		if s := f.status("old.test"); s.Broken == "" || s.Members != 1 {
			t.Errorf("%s: %+v", broken, s)
		}
		if f.log.count("catalog not followed; its zones stay as they are") != 1+i {
			t.Errorf("%s: the log has\n%s", broken, &f.log.text)
		}
	}
	f.start()
	f.expect("after a restart", "a.example(old.test,served)")
	if s := f.status("old.test"); s.Broken == "" {
		t.Errorf("after a restart: %+v", s)
	}
	f.most = 1
	f.start()
	f.catalog("old.test", 9, "1.zones PTR a.example.", "2.zones PTR b.example.")
	f.expect("with too many", "a.example(old.test,served)")
	f.catalog("old.test", 10, "2.zones PTR b.example.")
	f.expect("mended", "b.example(old.test,failed)")
	if s := f.status("old.test"); s.Broken != "" || s.Members != 1 {
		t.Errorf("mended: %+v", s)
	}
	if f.files() != 0 {
		t.Error("something is kept of the zone that went")
	}
}

// TestNamesClash holds that a member whose name another zone has is not served, and that the catalog keeps it that had it first (RFC 9432 section 5.2).
func TestNamesClash(t *testing.T) {
	f := newFleet(t)
	f.catalog("new.test", 1, "1.zones PTR a.example.", "2.zones PTR fixed.example.", "3.zones PTR new.test.", "4.zones PTR elsewhere.test.")
	f.expect("beside the configuration", "a.example(new.test,failed)")
	f.put("a.example")
	f.catalog("old.test", 1, "1.zones PTR a.example.", "2.zones PTR b.example.")
	f.expect("beside another catalog", "a.example(new.test,served) b.example(old.test,failed)")
	if s := f.status("new.test"); s.Ignored != 3 || s.IgnoredFirst != "new.test: the configuration has a zone of this name" {
		t.Errorf("%+v", s)
	}
	if s := f.status("old.test"); s.Ignored != 1 || s.IgnoredFirst != "a.example: it belongs to the catalog new.test" {
		t.Errorf("%+v", s)
	}
	for _, line := range []string{"zone=elsewhere.test err=\"the catalog may not list", "zone=a.example err=\"it belongs to the catalog new.test\""} {
		if f.log.count(line) != 1 {
			t.Errorf("%q: the log has\n%s", line, &f.log.text)
		}
	}
	f.catalog("new.test", 2, "8.zones PTR z.example.")
	f.expect("when the first has left it", "a.example(old.test,served) b.example(old.test,failed) z.example(new.test,failed)")
}

// TestZoneIsHandedOver holds that a zone goes from one catalog to another when both say so, and keeps its state if its label stays (RFC 9432 section 4.3.1).
func TestZoneIsHandedOver(t *testing.T) {
	f := newFleet(t)
	f.catalog("old.test", 1, "1.zones PTR a.example.", "2.zones PTR b.example.")
	f.put("a.example")
	f.put("b.example")
	f.catalog("old.test", 2, "1.zones PTR a.example.", "coo.1.zones PTR new.test.", "2.zones PTR b.example.", "coo.2.zones PTR NEW.test.")
	f.expect("when one has said so", "a.example(old.test,served) b.example(old.test,served)")
	f.catalog("new.test", 1, "1.zones PTR a.example.", "9.zones PTR b.example.")
	f.expect("when both have", "a.example(new.test,served) b.example(new.test,failed)")
	if s := f.status("old.test"); s.Ignored != 0 {
		t.Errorf("%+v", s)
	}
	f.catalog("old.test", 3, "7.zones PTR c.example.")
	f.expect("when the old one is through with them", "a.example(new.test,served) b.example(new.test,failed) c.example(old.test,failed)")
	f.start()
	f.expect("after a restart", "a.example(new.test,served) b.example(new.test,failed) c.example(old.test,failed)")
	f.catalog("old.test", 4, "1.zones PTR a.example.")
	f.expect("taking is no handing over", "a.example(new.test,served) b.example(new.test,failed)")
}

// TestCatalogsFollowTheConfiguration holds that zones go with their catalog, and are kept for a while in case it was a slip.
func TestCatalogsFollowTheConfiguration(t *testing.T) {
	f := newFleet(t)
	f.catalog("old.test", 1, "1.zones PTR a.example.")
	f.put("a.example")
	f.sub = []string{"new.test"}
	if err := f.them.Update(f.configuration()); err != nil {
		t.Fatal(err)
	}
	f.expect("without the catalog", "")
	f.sub = []string{"old.test", "new.test"}
	if err := f.them.Update(f.configuration()); err != nil {
		t.Fatal(err)
	}
	f.expect("with it again", "a.example(old.test,served)")
	f.sub = nil
	if err := f.them.Update(f.configuration()); err != nil {
		t.Fatal(err)
	}
	if f.files() != 1 {
		t.Error("nothing is kept of a zone whose catalog is just gone")
	}
	f.them.Look()
	if f.files() != 0 {
		t.Error("something is kept of a zone whose catalog is long gone")
	}
}

// TestNobodyHandsOverInACircle holds that a zone stays with the catalog that has it where two hand it over to each other.
func TestNobodyHandsOverInACircle(t *testing.T) {
	f := newFleet(t)
	f.catalog("new.test", 1, "1.zones PTR a.example.", "coo.1.zones PTR old.test.")
	f.put("a.example")
	for serial := 1; serial < 5; serial++ {
		f.catalog("old.test", serial, "1.zones PTR a.example.", "coo.1.zones PTR new.test.", fmt.Sprintf("x TXT %d", serial))
		f.expect(fmt.Sprint("after version ", serial), "a.example(new.test,served)")
	}
	if s := f.status("old.test"); s.Ignored != 1 || !strings.Contains(s.IgnoredFirst, "hand it over to each other") {
		t.Errorf("%+v", s)
	}
	f.catalog("new.test", 2, "1.zones PTR a.example.")
	f.expect("when one hands it over no more", "a.example(new.test,served)")
}

// TestOwnerOutlivesARestart holds that a zone which two catalogs list has the same one after a restart, whichever stands first in the configuration.
func TestOwnerOutlivesARestart(t *testing.T) {
	f := newFleet(t)
	f.catalog("new.test", 1, "1.zones PTR a.example.", "2.zones PTR b.example.")
	f.put("a.example")
	f.catalog("old.test", 1, "1.zones PTR a.example.")
	f.start()
	f.expect("after a restart", "a.example(new.test,served) b.example(new.test,failed)")
	f.start()
	f.expect("and another one", "a.example(new.test,served) b.example(new.test,failed)")
	f.catalog("new.test", 2, "2.zones PTR b.example.")
	f.expect("when the first lists it no more", "a.example(old.test,served) b.example(new.test,failed)")
	f.start()
	f.expect("after the last restart", "a.example(old.test,served) b.example(new.test,failed)")
}

// members are the lines of a catalog that lists some zones.
func members(from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("%d.zones PTR m%d.example.", i, i))
	}
	return lines
}

// TestCatalogThatShrinks holds that the zones of a catalog stay that is suddenly empty, or much smaller, until somebody says that it is right.
func TestCatalogThatShrinks(t *testing.T) {
	f := newFleet(t)
	f.most = 100
	f.start()
	f.catalog("old.test", 1, members(0, 20)...)
	f.put("m0.example")
	shrunk := func(what string, serial, served int, told string, lines ...string) {
		t.Helper()
		f.catalog("old.test", serial, lines...)
		if s := f.status("old.test"); s.Members != served || told != "" && !strings.Contains(s.Broken, told) || told == "" && s.Broken != "" {
			t.Errorf("%s: %+v, want %d members and %q", what, s, served, told)
		}
	}
	shrunk("a half is gone", 2, 10, "", members(0, 10)...)
	shrunk("five of ten are gone", 3, 5, "", members(0, 5)...)
	shrunk("it grows", 4, 12, "", members(0, 12)...)
	shrunk("more than a half is gone", 5, 12, "of 12 zones 7 are gone, and at most 6 may go at once; if that is right, run `cenote transfer --force old.test`", members(0, 5)...)
	shrunk("it is another one", 6, 12, "of 12 zones 12 are gone", members(20, 40)...)
	shrunk("it is empty", 7, 12, "it is empty, and listed 12")
	f.start()
	if s := f.status("old.test"); s.Members != 12 || s.Broken == "" || f.files() != 1 {
		t.Errorf("after a restart: %+v", s)
	}
	if s := f.status("m0.example"); s.State != zone.StateServed {
		t.Errorf("after a restart: %+v", s)
	}
	f.them.Accept(dnsname.MustParse("new.test"))
	if s := f.status("old.test"); s.Members != 12 {
		t.Errorf("another one is accepted: %+v", s)
	}
	f.them.Accept(dnsname.MustParse("OLD.test"))
	if s := f.status("old.test"); s.Members != 0 || s.Broken != "" || f.files() != 0 {
		t.Errorf("accepted: %+v", s)
	}
	shrunk("it lists something again", 8, 12, "", members(0, 12)...)
	f.catalog("new.test", 1, members(0, 12)...)
	shrunk("all are in another catalog", 9, 1, "", "99.zones PTR z.example.")
	if s := f.status("new.test"); s.Members != 12 {
		t.Errorf("handed over: %+v", s)
	}
}

// TestAcceptLooksFirst holds that who says that a catalog is right need not wait until it was looked at and found wanting, and that the word is for that version alone.
func TestAcceptLooksFirst(t *testing.T) {
	f := newFleet(t)
	f.most = 100
	f.start()
	f.catalog("old.test", 1, members(0, 20)...)
	put := func(serial int, lines ...string) {
		t.Helper()
		text := fmt.Sprintf("@ 0 SOA invalid. invalid. %d 300 60 1209600 0\nversion TXT 2\n%s\n", serial, strings.Join(lines, "\n"))
		if err := f.Install(catalogZone(t, "old.test", text)); err != nil {
			t.Fatal(err)
		}
	}
	put(2, members(0, 3)...)
	f.them.Accept(dnsname.MustParse("old.test"))
	if s := f.status("old.test"); s.Members != 3 || s.Broken != "" {
		t.Errorf("accepted before the look: %+v, want 3 members", s)
	}
	f.them.Accept(dnsname.MustParse("old.test")) // there is nothing to accept
	put(3)
	f.them.Look()
	if s := f.status("old.test"); s.Members != 3 || s.Broken == "" {
		t.Errorf("a later version: %+v, want it not followed", s)
	}
	f.them.Accept("")
	if s := f.status("old.test"); s.Members != 0 || s.Broken != "" {
		t.Errorf("all are accepted: %+v", s)
	}
}

// TestShrinkingCountsItsOwn holds that a catalog is guarded by the zones that it has here: those that it may not list, that the configuration or another catalog
// has, make it neither larger nor less empty, and no zone is saved by another catalog that may not list it.
func TestShrinkingCountsItsOwn(t *testing.T) {
	lines := func(format string, from, to int) (out []string) {
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprintf("%d.zones PTR "+format, i, i))
		}
		return out
	}
	own := func(from, to int) []string { return lines("m%d.example.", from, to) }
	foreign := func(from, to int) []string { return lines("m%d.elsewhere.test.", from, to) }
	for _, tc := range []struct {
		name     string
		before   func(*fleet)
		first    []string
		next     []string
		restart  bool
		followed bool
		told     string
	}{
		{name: "names that it may not list do not make it large", first: slices.Concat(own(0, 10), foreign(10, 100)), next: foreign(10, 99), told: "it lists no zone any more that may be served here, and listed 10"},
		{name: "nor do their going", first: slices.Concat(own(0, 10), foreign(10, 100)), next: own(0, 10), followed: true},
		{name: "nor after a restart", first: slices.Concat(own(0, 10), foreign(10, 100)), next: own(0, 10), restart: true, followed: true},
		{name: "most of its own are gone", first: slices.Concat(own(0, 10), foreign(10, 100)), next: slices.Concat(own(0, 4), foreign(10, 100)), told: "of 10 zones 6 are gone, and at most 5 may"},
		{name: "zones of another catalog are not its own", before: func(f *fleet) { f.catalog("new.test", 1, own(0, 40)...) }, first: own(0, 50), next: own(40, 44), told: "of 10 zones 6 are gone"},
		{name: "after a restart neither", before: func(f *fleet) { f.catalog("new.test", 1, own(0, 40)...) }, first: own(0, 50), next: own(40, 44), restart: true, told: "of 10 zones 6 are gone"},
		{name: "another catalog that may not list them saves none", before: func(f *fleet) {
			f.wants = func(catalog string, n dnsname.Name) bool { return catalog == "old.test" }
			f.start()
			f.catalog("new.test", 1, own(0, 10)...)
		}, first: own(0, 10), next: own(0, 2), told: "of 10 zones 8 are gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFleet(t)
			f.most = 200
			f.start()
			if tc.before != nil {
				tc.before(f)
			}
			f.catalog("old.test", 1, tc.first...)
			if tc.restart {
				f.start()
			}
			f.catalog("old.test", 2, tc.next...)
			if s := f.status("old.test"); (s.Broken == "") != tc.followed || !strings.Contains(s.Broken, tc.told) {
				t.Errorf("%+v, want %q", s, tc.told)
			}
		})
	}
}

// TestUnreadMemberIsKept holds that what could not be read of a member is not taken for what is left of one that no catalog lists any more.
func TestUnreadMemberIsKept(t *testing.T) {
	f := newFleet(t)
	f.catalog("old.test", 1, "1.zones PTR a.example.")
	f.put("a.example")
	all, err := filepath.Glob(filepath.Join(f.dir, "members", "*.journal"))
	if err != nil || len(all) != 1 {
		t.Fatalf("journals of members are %v (%v), want one", all, err)
	}
	f.catalog("new.test", 1, "1.zones PTR b.example.")
	unreadable(t, all[0])
	f.start()
	f.put("a.example")
	f.them.Look()
	if _, err := os.Lstat(all[0] + ".unread"); err != nil {
		t.Error(err)
	}
}

// TestFilesOfMembersAreKept holds that what belongs to the journal of a zone that a catalog lists stays, such as another one that is being written, whatever the
// zone is called; and that what belongs to no such zone goes.
func TestFilesOfMembersAreKept(t *testing.T) {
	f := newFleet(t)
	for _, apex := range []string{"a.example", "b.journal.unread.example", "c.journal.example"} {
		f.catalog("new.test", 1, "1.zones PTR z.example.")
		f.catalog("old.test", 1, "1.zones PTR "+apex+".")
		f.put(apex)
		all, err := filepath.Glob(filepath.Join(f.dir, "members", apex+"=*.journal"))
		if err != nil || len(all) != 1 {
			t.Fatalf("journals of %s are %v (%v), want one", apex, all, err)
		}
		stay := []string{all[0], all[0] + ".unread", all[0] + ".unread.2", all[0] + ".123.tmp"}
		other := filepath.Join(f.dir, "members", "gone.example=0000000000000000.journal")
		leave := []string{other, other + ".unread", other + ".unread.2", other + ".123.tmp"}
		for _, path := range append(stay[1:], leave...) {
			write(t, path, "")
		}
		f.start()
		f.them.Look()
		for _, path := range stay {
			if _, err := os.Lstat(path); err != nil {
				t.Error(err)
			}
		}
		for _, path := range leave {
			if _, err := os.Lstat(path); err == nil {
				t.Errorf("%s is still there", filepath.Base(path))
			}
		}
		if err := os.RemoveAll(f.dir); err != nil {
			t.Fatal(err)
		}
		f = newFleet(t)
	}
}
