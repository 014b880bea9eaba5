package zone_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"

	"github.com/miekg/dns"
)

// updatable keeps a zone that holders of keys may change.
type updatable struct {
	*zone.Keeper
	t    *testing.T
	conf zone.KeeperConfig
	log  *lines
}

func canonical(name string) dnsname.Name { return dnsname.MustParse(name).Canonical() }

// newUpdatable keeps example with serial 5 and grants for three keys: one of all, one of what is below dyn and of addresses alone, one of its own name.
func newUpdatable(t *testing.T, text string, change ...func(*zone.Source)) *updatable {
	t.Helper()
	dir := t.TempDir()
	u := &updatable{t: t, log: new(lines)}
	u.conf = zone.KeeperConfig{Dir: filepath.Join(dir, "state"), Log: slog.New(slog.NewTextHandler(u.log, nil)), Sources: []zone.Source{{
		Name: canonical("example"), Path: filepath.Join(dir, "zone"), Updates: &zone.Updates{Grants: []zone.Grant{
			{Keys: []dnsname.Name{canonical("all.key")}},
			{Keys: []dnsname.Name{canonical("all.key")}, Types: []uint16{wire.TypeSOA, wire.TypeNS, wire.TypeRRSIG}},
			{Keys: []dnsname.Name{canonical("dyn.key")}, Below: []dnsname.Name{canonical("dyn.example")}, Types: []uint16{wire.TypeA}},
			{Keys: []dnsname.Name{canonical("www.example")}, Self: true},
			{Keys: []dnsname.Name{canonical("one.key")}, Names: []dnsname.Name{canonical("one.example")}},
		}},
	}}}
	for _, f := range change {
		f(&u.conf.Sources[0])
	}
	u.put(text)
	u.start()
	return u
}

func (u *updatable) put(text string) {
	u.t.Helper()
	path := u.conf.Sources[0].Path
	write(u.t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		u.t.Fatal(err)
	}
}

// start makes a keeper of what is on the disk, as after a restart.
func (u *updatable) start() {
	u.t.Helper()
	var err error
	if u.Keeper, err = zone.NewKeeper(u.conf); err != nil {
		u.t.Fatal(err)
	}
}

// ask is an update as a message, and how it is answered: changes are "+record", "-record" and "-name".
func (u *updatable) ask(key string, changes ...string) int {
	u.t.Helper()
	return u.send(key, updateMessage(u.t, changes...))
}

func (u *updatable) send(key string, msg []byte) int {
	return u.ApplyUpdate(&zone.UpdateRequest{Zone: canonical("example"), Msg: msg, Key: canonical(key), Signed: sha256.Sum256(msg), Client: netip.MustParseAddr("192.0.2.7")})
}

func updateMessage(t testing.TB, changes ...string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetUpdate("example.")
	m.Compress = true
	for _, c := range changes {
		if !strings.Contains(c, " ") {
			m.RemoveName([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: c[1:]}}})
			continue
		}
		rr, err := dns.NewRR(c[1:])
		if err != nil {
			t.Fatal(err)
		}
		if c[0] == '+' {
			m.Insert([]dns.RR{rr})
		} else {
			m.Remove([]dns.RR{rr})
		}
	}
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// expect wants the zone to have a serial and, of the lines that are named, those with + and not those with -.
func (u *updatable) expect(what string, serial uint32, lines ...string) {
	u.t.Helper()
	z, err := u.State(canonical("example"), true)
	if err != nil {
		u.t.Fatalf("%s: %v", what, err)
	}
	text := strings.ReplaceAll(dump(u.t, z), "\t", " ")
	if got := u.Status()[0].Serial; got != serial {
		u.t.Errorf("%s: the serial is %d, want %d", what, got, serial)
	}
	for _, l := range lines {
		if strings.Contains(text, l[1:]) != (l[0] == '+') {
			u.t.Errorf("%s: want %s\n%s", what, l, text)
		}
	}
}

const updatableText = "$TTL 60\n@ SOA ns host 5 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\nwww TXT x\na.dyn A 192.0.2.3\nb.dyn TXT x\none A 192.0.2.4\n"

// TestGrants holds what each key may change: whatever else a message asks for, none of it is made if one part is not granted.
func TestGrants(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		changes   []string
		rcode     int
	}{
		{"all of the zone", "all.key", []string{"+new.example. 60 A 192.0.2.9", "-www.example."}, 0},
		{"a type that was named", "all.key", []string{"+sub.example. 60 NS ns.example."}, 0},
		{"a type that has to be named", "all.key", []string{"+example. 60 DNSKEY 257 3 13 AAAA"}, dns.RcodeRefused},
		{"a type that nobody may change", "all.key", []string{"+example. 60 RRSIG A 13 1 60 20300101000000 20200101000000 1 example. AAAA"}, dns.RcodeRefused},
		{"a type that nobody may change, named by no grant", "all.key", []string{"+example. 60 ZONEMD 5 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}, dns.RcodeRefused},
		{"the apex keeps what makes it one", "all.key", []string{"-example."}, 0},
		{"below a name", "dyn.key", []string{"+x.dyn.example. 60 A 192.0.2.9"}, 0},
		{"that name", "dyn.key", []string{"+dyn.example. 60 A 192.0.2.9"}, 0},
		{"beside it", "dyn.key", []string{"+xdyn.example. 60 A 192.0.2.9"}, dns.RcodeRefused},
		{"another type", "dyn.key", []string{"+x.dyn.example. 60 AAAA 2001:db8::1"}, dns.RcodeRefused},
		{"a name with granted sets alone", "dyn.key", []string{"-a.dyn.example."}, 0},
		{"a name with a set of another type", "dyn.key", []string{"-b.dyn.example."}, dns.RcodeRefused},
		{"its own name", "www.example", []string{"-www.example.", "+www.example. 60 A 192.0.2.9"}, 0},
		{"below its own name", "www.example", []string{"+x.www.example. 60 A 192.0.2.9"}, dns.RcodeRefused},
		{"a name that was named", "one.key", []string{"-one.example."}, 0},
		{"below one that was named", "one.key", []string{"+x.one.example. 60 A 192.0.2.9"}, dns.RcodeRefused},
		{"one part is not granted", "one.key", []string{"-one.example.", "-www.example."}, dns.RcodeRefused},
		{"a key without a grant", "other.key", []string{"+new.example. 60 A 192.0.2.9"}, dns.RcodeRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := newUpdatable(t, updatableText)
			if got := u.ask(tc.key, tc.changes...); got != tc.rcode {
				t.Errorf("RCODE %d, want %d", got, tc.rcode)
			}
			if tc.rcode != 0 {
				u.expect("refused", 5)
			}
		})
	}
}

// TestUpdateIsMadeOnce holds that a message which comes again, for it was repeated or seen by somebody, gets the same answer and changes nothing.
func TestUpdateIsMadeOnce(t *testing.T) {
	u := newUpdatable(t, updatableText)
	add := updateMessage(t, "+new.example. 60 A 192.0.2.9")
	for n, step := range []struct {
		msg    []byte
		serial uint32
		line   string
	}{{add, 6, "+new.example."}, {add, 6, "+new.example."}, {updateMessage(t, "-new.example."), 7, "-new.example."}, {add, 7, "-new.example."}} {
		if rcode := u.send("all.key", step.msg); rcode != 0 {
			t.Errorf("step %d: RCODE %d", n, rcode)
		}
		u.expect("step", step.serial, step.line)
	}
	for result, want := range map[string]float64{"changed": 2, "again": 2} {
		if n := labelled(t, u.Keeper, "cenote_zone_updates_total", result); n != want {
			t.Errorf("%v are counted as %s, want %v", n, result, want)
		}
	}
}

// TestUpdateIsMadeOnceOverARestart holds the same where the server is started in between, until the signatures of such messages hold no more.
func TestUpdateIsMadeOnceOverARestart(t *testing.T) {
	u := newUpdatable(t, updatableText)
	now := time.Unix(1_800_000_000, 0)
	u.conf.Now = func() time.Time { return now }
	u.start()
	add := updateMessage(t, "+new.example. 60 A 192.0.2.9")
	refused := updateMessage(t, "+x.example. 60 A 192.0.2.9")
	for _, m := range [][]byte{add, updateMessage(t, "-new.example.")} {
		if rcode := u.send("all.key", m); rcode != 0 {
			t.Fatal(rcode)
		}
	}
	if rcode := u.send("one.key", refused); rcode != dns.RcodeRefused {
		t.Fatal(rcode)
	}
	for range 2 {
		u.start()
		if rcode := u.send("all.key", add); rcode != 0 {
			t.Errorf("it comes again, and is answered with %d", rcode)
		}
		if rcode := u.send("all.key", refused); rcode != dns.RcodeRefused {
			t.Errorf("what was refused comes again, and is answered with %d", rcode)
		}
		u.expect("after a restart", 7, "-new.example.", "-x.example.")
	}
	path := filepath.Join(u.conf.Dir, "updates", "remembered")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text[:len(text)-1])) // the last record is cut off
	u.start()
	if rcode := u.send("all.key", add); rcode != 0 || u.Status()[0].Serial != 7 {
		t.Errorf("a damaged end loses what is before it: %d", rcode)
	}
	now = now.Add(11 * time.Minute)
	if rcode := u.send("all.key", add); rcode != 0 || u.Status()[0].Serial != 8 {
		t.Errorf("a message that no signature of then could cover: %d", rcode)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 8+38 {
		t.Errorf("%v %v, want one record", info, err)
	}
}

// FuzzUpdateMemory holds that what is read of the file of updates was written so.
func FuzzUpdateMemory(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Add([]byte("cenoteu2"))
	f.Add(zone.WriteUpdateMemory(now, 3, false))
	f.Add(zone.WriteUpdateMemory(now, 3, true))
	f.Fuzz(func(t *testing.T, file []byte) {
		if n := zone.ReadUpdateMemory(now, file); n > (len(file)-8)/38 && n > 0 {
			t.Errorf("%d updates in %d octets", n, len(file))
		}
	})
}

// TestUpdateMemoryOfTheFirstVersion holds that what an older server has written down of updates counts.
func TestUpdateMemoryOfTheFirstVersion(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, first := range []bool{true, false} {
		file := zone.WriteUpdateMemory(now, 3, first)
		for i, want := range []int{0, 1, 2, -1} {
			if got := zone.Remembered(now, file, i); got != want {
				t.Errorf("first version %v: update %d is answered with %d, want %d", first, i, got, want)
			}
		}
		if n := zone.ReadUpdateMemory(now.Add(10*time.Minute), file); n != 0 {
			t.Errorf("%d count when all are past", n)
		}
	}
}

// TestUpdatesAndTheFile holds which counts, the file or what updates made of the zone: while the server runs, and after a restart.
func TestUpdatesAndTheFile(t *testing.T) {
	u := newUpdatable(t, updatableText)
	reload := func() {
		t.Helper()
		if _, err := u.Reload(false); err != nil {
			t.Fatal(err)
		}
	}
	edited := func(serial, more string) string {
		return strings.Replace(updatableText, "host 5", "host "+serial, 1) + more
	}
	for n, name := range []string{"b", "c", "d"} {
		if rcode := u.ask("all.key", "+"+name+".example. 60 A 192.0.2.9"); rcode != 0 {
			t.Fatal(rcode)
		}
		u.expect("updated", uint32(6+n), "+"+name+".example.")
	}
	u.start()
	u.expect("after a restart", 8, "+b.example.", "+d.example.")
	u.put(updatableText)
	reload()
	if u.expect("a file that was written as it was", 8); u.Status()[0].State != zone.StateServed {
		t.Errorf("the state is %+v", u.Status()[0])
	}
	u.put(edited("8", "edit A 192.0.2.9\n"))
	reload()
	if u.expect("a file that is not later", 8, "+d.example.", "-edit.example."); u.Status()[0].State != zone.StateKept {
		t.Errorf("the state is %+v", u.Status()[0])
	}
	if rcode := u.ask("all.key", "-d.example."); rcode != 0 {
		t.Fatal(rcode)
	}
	u.expect("an update beside such a file", 9, "-d.example.", "+c.example.")
	u.put("nonsense\n")
	u.start()
	u.expect("after a restart with a file that is faulty", 9, "-d.example.", "+c.example.")
	u.put(edited("10", "edit A 192.0.2.9\n"))
	reload()
	u.expect("a file that is later", 10, "-c.example.", "+edit.example.")
	u.start()
	u.expect("after a restart", 10, "-c.example.", "+edit.example.")
	if rcode := u.ask("all.key", "+f.example. 60 A 192.0.2.9"); rcode != 0 {
		t.Fatal(rcode)
	}
	u.put(edited("3", "g A 192.0.2.9\n"))
	if _, err := u.Reload(true); err != nil {
		t.Fatal(err)
	}
	u.expect("by force", 3, "-f.example.", "+g.example.")
	u.start()
	u.expect("after a restart", 3, "-f.example.", "+g.example.")
}

// TestUpdatesThatCannotBeKept holds that what cannot be written down is not served: the client is told that it failed.
func TestUpdatesThatCannotBeKept(t *testing.T) {
	u := newUpdatable(t, updatableText)
	if err := os.RemoveAll(filepath.Join(u.conf.Dir, "updates")); err != nil {
		t.Fatal(err)
	}
	if rcode := u.ask("all.key", "+b.example. 60 A 192.0.2.9"); rcode != dns.RcodeServerFailure {
		t.Errorf("RCODE %d", rcode)
	}
	u.expect("it failed", 5, "-b.example.")
	if err := os.Mkdir(filepath.Join(u.conf.Dir, "updates"), 0o750); err != nil {
		t.Fatal(err)
	}
	if rcode := u.ask("all.key", "+b.example. 60 A 192.0.2.9"); rcode != 0 {
		t.Errorf("RCODE %d", rcode)
	}
	u.start()
	u.expect("afterwards", 6, "+b.example.")
}

// TestUpdateRefused holds when nobody may change a zone: frozen, and where what it comes with would no longer fit.
func TestUpdateRefused(t *testing.T) {
	u := newUpdatable(t, updatableText)
	if err := u.Freeze(canonical("example"), true); err != nil {
		t.Fatal(err)
	}
	if rcode := u.ask("all.key", "+b.example. 60 A 192.0.2.9"); rcode != dns.RcodeRefused || u.log.count("frozen") < 2 {
		t.Errorf("frozen: RCODE %d", rcode)
	}
	if err := u.Freeze(canonical("example"), false); err != nil {
		t.Fatal(err)
	}
	if rcode := u.ask("all.key", "+c.example. 60 A 192.0.2.9"); rcode != 0 {
		t.Errorf("thawed: RCODE %d", rcode)
	}
	d := newUpdatable(t, updatableText+"@ ZONEMD 5 1 240 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
		func(s *zone.Source) { s.Verify = zone.VerifyOff })
	if rcode := d.ask("all.key", "+b.example. 60 A 192.0.2.9"); rcode != dns.RcodeRefused {
		t.Errorf("with a digest: RCODE %d", rcode)
	}
	if rcode := u.ApplyUpdate(&zone.UpdateRequest{Zone: canonical("nowhere"), Msg: updateMessage(t), Key: canonical("all.key")}); rcode != dns.RcodeNotAuth {
		t.Errorf("no zone: RCODE %d", rcode)
	}
}

// TestUpdateSaysWhyItWasRefused holds that the log gives the one reason, since the sender is told REFUSED and no more.
func TestUpdateSaysWhyItWasRefused(t *testing.T) {
	many := make([]string, 10_001)
	for i := range many {
		many[i] = fmt.Sprintf("+a%d.example. 60 A 192.0.2.9", i)
	}
	for name, tc := range map[string]struct {
		key, want string
		changes   []string
	}{
		"not granted": {"dyn.key", "its key has no grant for what it would change: a.dyn.example TXT", []string{"+c.dyn.example. 60 A 192.0.2.9", "+a.dyn.example. 60 TXT x"}},
		"too much":    {"all.key", "more than 10000 records", many},
		"no server":   {"all.key", "without a server that can be found", []string{"-ns.example."}},
	} {
		u := newUpdatable(t, updatableText)
		if rcode := u.ask(tc.key, tc.changes...); rcode != dns.RcodeRefused || u.log.count(tc.want) != 1 {
			t.Errorf("%s: RCODE %d, want REFUSED, and %q in the log", name, rcode, tc.want)
		}
	}
}

// FuzzUpdate reads messages as updates, and makes what they ask for: the zone that comes of it is one that a journal could keep, or none.
func FuzzUpdate(f *testing.F) {
	f.Add(updateMessage(f, "+new.example. 60 MX 10 www.example.", "-www.example.", "-a.dyn.example. 60 A 192.0.2.3"))
	f.Add(updateMessage(f, "+example. 60 SOA ns.example. host.example. 9 7200 3600 1209600 60", "+x.example. 60 CNAME www.example.", "+y.example. 60 DNAME www.example."))
	f.Add(append(updateMessage(f, "+new.example. 60 NAPTR 1 2 \"a\" \"b\" \"c\" www.example."), 0))
	z := load(f, "example", updatableText)
	f.Fuzz(func(t *testing.T, msg []byte) {
		u, err := zone.ReadUpdate(msg)
		if err != nil {
			return
		}
		next, rcode := u.Apply(z, func(dnsname.Name, uint16) bool { return true })
		if (next == nil) != (rcode != 0) {
			t.Fatalf("RCODE %d, and the zone is %v", rcode, next)
		}
		if next == nil || next == z {
			return
		}
		if _, state, _ := zone.ReadJournal(z, zone.JournalOf(z, next)); state == nil || !zone.SameData(state, next) {
			t.Fatal("the zone is not what comes of its journal")
		}
	})
}

// TestFrozenUpdatesStayOverARestart holds that what updates made of a zone is what it stays at while it is frozen, over a restart, and goes on from when it is
// thawed.
func TestFrozenUpdatesStayOverARestart(t *testing.T) {
	u := newUpdatable(t, updatableText)
	if rcode := u.ask("all.key", "+new.example. 60 A 192.0.2.9"); rcode != wire.RcodeSuccess {
		t.Fatal(rcode)
	}
	if err := u.Freeze(canonical("example"), true); err != nil {
		t.Fatal(err)
	}
	u.start()
	u.expect("after a restart", 6, "+new.example. 60 IN A 192.0.2.9")
	if rcode := u.ask("all.key", "+other.example. 60 A 192.0.2.9"); rcode != wire.RcodeRefused {
		t.Errorf("an update of a frozen zone is answered with %d", rcode)
	}
	if err := u.Freeze(canonical("example"), false); err != nil {
		t.Fatal(err)
	}
	u.Look()
	u.Look()
	u.expect("thawed", 6, "+new.example. 60 IN A 192.0.2.9")
	if s := u.Status()[0]; s.State != zone.StateServed {
		t.Errorf("%+v", s)
	}
	if rcode := u.ask("all.key", "+other.example. 60 A 192.0.2.9"); rcode != wire.RcodeSuccess {
		t.Fatal(rcode)
	}
	u.start()
	u.expect("after another restart", 7, "+new.example. 60 IN A 192.0.2.9", "+other.example. 60 IN A 192.0.2.9")
}

// hosts are changes that add or remove addresses of one name, those from..to-1.
func hosts(sign string, from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%spool.example. 60 A 10.%d.%d.%d", sign, i>>16, i>>8&255, i&255))
	}
	return out
}

// TestUpdatesOfLargeSets holds that an update may add as many records to one set as a message holds, up to what a set may have, and take them away again.
func TestUpdatesOfLargeSets(t *testing.T) {
	const n = 4000 // as many as a message holds
	u := newUpdatable(t, updatableText)
	records := func() int { return u.Status()[0].Records }
	small := records()
	if rcode := u.ask("all.key", hosts("+", 0, n)...); rcode != 0 || records() != small+n {
		t.Fatalf("%d additions: RCODE %d, %d records\n%s", n, rcode, records(), &u.log.text)
	}
	if rcode := u.ask("all.key", hosts("+", n-100, 2*n-100)...); rcode != 0 || records() != small+2*n-100 {
		t.Fatalf("as many again, a part of which is there: RCODE %d, %d records", rcode, records())
	}
	if rcode := u.ask("all.key", append(hosts("-", 0, n/2), hosts("+", 0, n/4)...)...); rcode != 0 || records() != small+2*n-100-n/4 {
		t.Fatalf("some are removed, and of those some come again: RCODE %d, %d records", rcode, records())
	}
	if rcode := u.ask("all.key", "+pool.example. 30 A 10.0.0.0"); rcode != wire.RcodeRefused || u.log.count("more than 10000 records") != 1 {
		t.Errorf("another TTL of %d records: RCODE %d\n%s", 2*n, rcode, &u.log.text)
	}
	if rcode := u.ask("all.key", "-pool.example."); rcode != 0 || records() != small {
		t.Errorf("all are deleted: RCODE %d, %d records", rcode, records())
	}
}

// TestUpdatesOfTheLargestSet holds that a set takes no more records than one may have, and that the log says so.
func TestUpdatesOfTheLargestSet(t *testing.T) {
	const most = 65535
	full := strings.Join(hosts("", 0, most-1), "\n") + "\n"
	u := newUpdatable(t, updatableText+full)
	if rcode := u.ask("all.key", hosts("+", most-1, most)...); rcode != 0 {
		t.Fatalf("the last one that has room: RCODE %d\n%s", rcode, &u.log.text)
	}
	if rcode := u.ask("all.key", hosts("+", most, most+1)...); rcode != wire.RcodeRefused || u.log.count("more than 65535 records: pool.example A") != 1 {
		t.Errorf("one more: RCODE %d\n%s", rcode, &u.log.text)
	}
	if rcode := u.ask("all.key", append(hosts("-", 0, 1), hosts("+", most, most+1)...)...); rcode != 0 {
		t.Errorf("one in the place of another: RCODE %d\n%s", rcode, &u.log.text)
	}
}

// TestNoUpdateIsForgotten holds that an update is made once however many others come within the time for which its signature holds, and that none is made that
// could not be remembered.
func TestNoUpdateIsForgotten(t *testing.T) {
	u, now := newUpdatable(t, updatableText), time.Now()
	u.conf.Dir, u.conf.Now = "", func() time.Time { return now }
	u.start()
	first := updateMessage(t, "+first.example. 60 A 192.0.2.9")
	if rcode := u.send("all.key", first); rcode != 0 {
		t.Fatal(rcode)
	}
	if rcode := u.ask("all.key", "-first.example."); rcode != 0 {
		t.Fatal(rcode)
	}
	for i := range 5000 {
		if rcode := u.ask("all.key", fmt.Sprintf("+n%d.example. 60 A 192.0.2.9", i), fmt.Sprintf("-n%d.example.", i-1)); rcode != 0 {
			t.Fatal(rcode)
		}
	}
	serial := u.Status()[0].Serial
	if rcode := u.send("all.key", first); rcode != 0 || u.Status()[0].Serial != serial {
		t.Errorf("an update that comes again: RCODE %d, serial %d, want %d", rcode, u.Status()[0].Serial, serial)
	}
	u.Remember(canonical("all.key"), zone.UpdatesRemembered/2)
	for range 2 {
		if rcode := u.ask("all.key", "+more.example. 60 A 192.0.2.9"); rcode != wire.RcodeServFail || u.Status()[0].Serial != serial {
			t.Errorf("one too many: RCODE %d, serial %d, want %d", rcode, u.Status()[0].Serial, serial)
		}
	}
	if n := u.log.count("no updates are made for now"); n != 1 {
		t.Errorf("the log has told it %d times", n)
	}
	other := "+one.example. 60 A 192.0.2.10"
	if rcode := u.ask("one.key", other); rcode != 0 || u.Status()[0].Serial != serial+1 {
		t.Errorf("an update by another key: RCODE %d, serial %d, want %d", rcode, u.Status()[0].Serial, serial+1)
	}
	serial++
	u.Remember(canonical("one.key"), zone.UpdatesRemembered)
	for range 2 {
		if rcode := u.ask("one.key", "-one.example."); rcode != wire.RcodeServFail {
			t.Errorf("one too many of another key: RCODE %d", rcode)
		}
		if rcode := u.ask("www.example", "+www.example. 60 A 192.0.2.10"); rcode != wire.RcodeServFail {
			t.Errorf("one more than there is room for at all: RCODE %d", rcode)
		}
	}
	if n := u.log.count("no updates are made for now"); n != 3 {
		t.Errorf("the log has told it %d times", n)
	}
	if rcode := u.send("all.key", first); rcode != 0 || u.Status()[0].Serial != serial {
		t.Errorf("one that is known: RCODE %d", rcode)
	}
	now = now.Add(10*time.Minute + time.Second)
	if rcode := u.ask("all.key", "+more.example. 60 A 192.0.2.9"); rcode != 0 || u.Status()[0].Serial != serial+1 {
		t.Errorf("when the others are past: RCODE %d", rcode)
	}
}

// TestUnreadableMemoryOfUpdates holds that no update is made while one could be that was made before, though it is not known.
func TestUnreadableMemoryOfUpdates(t *testing.T) {
	u, now := newUpdatable(t, updatableText), time.Now()
	u.conf.Now = func() time.Time { return now }
	first := updateMessage(t, "+first.example. 60 A 192.0.2.9")
	if rcode := u.send("all.key", first); rcode != 0 {
		t.Fatal(rcode)
	}
	if rcode := u.ask("all.key", "-first.example."); rcode != 0 {
		t.Fatal(rcode)
	}
	mend := unreadable(t, filepath.Join(u.conf.Dir, "updates", "remembered"))
	u.start()
	if rcode := u.send("all.key", first); rcode != wire.RcodeServFail || u.log.count("it cannot be read which updates were made") != 1 {
		t.Errorf("RCODE %d\n%s", rcode, &u.log.text)
	}
	mend()
	if rcode := u.send("all.key", first); rcode != 0 || u.Status()[0].Serial != 7 {
		t.Errorf("when it can be read again: RCODE %d, %+v", rcode, u.Status()[0])
	}
	unreadable(t, filepath.Join(u.conf.Dir, "updates", "remembered"))
	u.start()
	now = now.Add(10*time.Minute + time.Second)
	if rcode := u.ask("all.key", "+more.example. 60 A 192.0.2.9"); rcode != 0 {
		t.Errorf("when all are past: RCODE %d", rcode)
	}
}

// newSeveral keeps zones that holders of all.key may change, z0.example and so on, the last of them signed here.
func newSeveral(t *testing.T, n int) *updatable {
	t.Helper()
	dir := t.TempDir()
	u := &updatable{t: t, log: new(lines)}
	u.conf = zone.KeeperConfig{Dir: filepath.Join(dir, "state"), Keys: filepath.Join(dir, "keys"), Log: slog.New(slog.NewTextHandler(u.log, nil))}
	for i := range n {
		s := zone.Source{
			Name: canonical(fmt.Sprintf("z%d.example", i)), Path: filepath.Join(dir, fmt.Sprint(i)), Updates: &zone.Updates{Grants: []zone.Grant{{Keys: []dnsname.Name{canonical("all.key")}}}},
		}
		if i == n-1 {
			s.Sign = &zone.Signing{}
		}
		write(t, s.Path, updatableText)
		u.conf.Sources = append(u.conf.Sources, s)
	}
	u.start()
	return u
}

// change adds a record to the i-th zone.
func (u *updatable) change(i int, label string) int {
	m := new(dns.Msg)
	apex := fmt.Sprintf("z%d.example.", i)
	m.SetUpdate(apex)
	m.Insert([]dns.RR{&dns.A{Hdr: dns.RR_Header{Name: label + "." + apex, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 9)}})
	msg, err := m.Pack()
	if err != nil {
		u.t.Error(err)
	}
	return u.ApplyUpdate(&zone.UpdateRequest{Zone: canonical(apex), Msg: msg, Key: canonical("all.key"), Signed: sha256.Sum256(msg), Client: netip.MustParseAddr("192.0.2.7")})
}

// TestOtherZonesDoNotWait holds that while an update of one zone waits for the disk, other zones can be updated, looked at and frozen; and that what is about all
// zones waits until it is through.
func TestOtherZonesDoNotWait(t *testing.T) {
	u := newSeveral(t, 2)
	if a, b := u.change(0, "a"), u.change(1, "a"); a != 0 || b != 0 {
		t.Fatal(a, b)
	}
	path := filepath.Join(u.conf.Dir, "updates", "z0.example.journal")
	if err := errors.Join(os.Rename(path, path+".was"), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	held := make(chan int, 1)
	go func() { held <- u.change(0, "b") }() // which waits for somebody who reads what it writes
	awaitTrue(t, "the update is under way", func() bool { return u.Busy() == 1 })
	others := make(chan error, 1)
	go func() {
		rcode := u.change(1, "b")
		_, err := u.State(canonical("z1.example"), true)
		u.Look()
		err = errors.Join(err, u.Freeze(canonical("z1.example"), true), u.Freeze(canonical("z1.example"), false))
		if rcode != 0 {
			err = errors.Join(err, fmt.Errorf("RCODE %d", rcode))
		}
		others <- err
	}()
	select {
	case err := <-others:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("another zone waits for the disk of this one")
	}
	reloaded := make(chan error, 1)
	go func() {
		_, err := u.Reload(false)
		reloaded <- err
	}()
	again := make(chan int, 1)
	go func() { again <- u.change(0, "c") }()
	select {
	case <-reloaded:
		t.Error("a reload has not waited for the update")
	case <-again:
		t.Error("another update of the zone has not waited for the first")
	case <-held:
		t.Fatal("the update has not waited for its journal")
	case <-time.After(50 * time.Millisecond):
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if rcode := <-held; rcode != wire.RcodeServFail { // a pipe keeps nothing (fsync)
		t.Errorf("the update that waited: RCODE %d", rcode)
	}
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
	if rcode := <-again; rcode != 0 {
		t.Errorf("the next update: RCODE %d", rcode)
	}
	if s := u.Status(); s[0].Serial != 7 {
		t.Errorf("%+v", s[0])
	}
}

// TestNobodyWaitsForWhatIsRemembered holds that while it waits for the disk that an update is written down as made, all else goes on, that update is served, and
// nobody is told yet that it is made.
func TestNobodyWaitsForWhatIsRemembered(t *testing.T) {
	u := newSeveral(t, 2)
	if a, b := u.change(0, "a"), u.change(1, "a"); a != 0 || b != 0 {
		t.Fatal(a, b)
	}
	path := filepath.Join(u.conf.Dir, "updates", "remembered")
	if err := errors.Join(os.Rename(path, path+".was"), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	held := make(chan int, 2)
	for i := range 2 {
		go func() { held <- u.change(i, "b") }() // which waits for somebody who reads what it writes
	}
	others := make(chan error, 1)
	go func() {
		awaitTrue(t, "both are served", func() bool {
			a, errA := u.State(canonical("z0.example"), false)
			b, errB := u.State(canonical("z1.example"), false)
			return errors.Join(errA, errB) == nil && a.Serial() == 7 && b.Serial() == 7
		})
		u.Look()
		others <- errors.Join(u.Freeze(canonical("z0.example"), true), u.Freeze(canonical("z0.example"), false))
	}()
	select {
	case err := <-others:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("others wait for the disk")
	}
	select {
	case <-held:
		t.Error("an update is told to be made that is not written down")
	default:
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 {
		if rcode := <-held; rcode != 0 {
			t.Errorf("RCODE %d", rcode)
		}
	}
	if n := u.log.count("an update cannot be written down as made"); n != 1 { // a pipe keeps nothing (fsync), and the next write takes its place
		t.Errorf("the log has told it %d times", n)
	}
	if err := os.Remove(path + ".was"); err != nil {
		t.Fatal(err)
	}
	if file, err := os.ReadFile(path); err != nil || zone.ReadUpdateMemory(time.Now(), file) != 4 {
		t.Errorf("%v: %d are written down, want 4", err, zone.ReadUpdateMemory(time.Now(), file))
	}
}

// awaitTrue waits until something is so.
func awaitTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestUpdatesAtOnce updates zones at once, while all else happens to them that may, and wants every change to be there, after a restart too.
func TestUpdatesAtOnce(t *testing.T) {
	const zones, changes = 6, 10
	u := newSeveral(t, zones)
	var work, noise sync.WaitGroup
	end := make(chan struct{})
	extra := zone.Source{Name: canonical("extra.example"), Path: filepath.Join(t.TempDir(), "zone")}
	write(t, extra.Path, updatableText)
	noise.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-end:
				return
			default:
			}
			u.Look()
			if _, err := u.Reload(false); err != nil {
				t.Error(err)
			}
			_ = u.Keys()
			sources := slices.Clone(u.conf.Sources)
			if n%2 == 0 {
				sources = append(sources, extra)
			}
			if n%3 == 0 {
				sources[0].Verify, sources[1].NotifyKeys = zone.VerifyLog, []dnsname.Name{canonical("all.key")}
			}
			if err := u.Update(sources); err != nil {
				t.Error(err)
			}
			_ = u.Status()
		}
	})
	for i := range zones {
		for c := range changes {
			work.Go(func() {
				if rcode := u.change(i, fmt.Sprintf("n%d", c)); rcode != 0 {
					t.Errorf("zone %d, change %d: RCODE %d", i, c, rcode)
				}
			})
		}
	}
	work.Wait()
	close(end)
	noise.Wait()
	check := func(what string) {
		t.Helper()
		for i, s := range u.Status()[:zones] {
			z, err := u.State(canonical(s.Name), false)
			if err != nil || z.Serial() != 5+changes || s.Steps < changes && i < zones-1 {
				t.Errorf("%s: %v, %+v", what, err, s)
			}
			for c := range changes {
				if !strings.Contains(dump(t, z), fmt.Sprintf("n%d.%s.\t", c, s.Name)) {
					t.Errorf("%s: a change of %s is not there", what, s.Name)
				}
			}
		}
	}
	check("at the end")
	u.start()
	check("after a restart")
}

// TestUpdatesWhoseDirectoryCannotBeReached holds that a zone is not served by its file alone where nobody can tell what updates made of it, and goes on from
// them once that is mended.
func TestUpdatesWhoseDirectoryCannotBeReached(t *testing.T) {
	u := newUpdatable(t, updatableText)
	u.ask("all.key", "+new.example. 60 A 192.0.2.9")
	dir := filepath.Join(u.conf.Dir, "updates")
	if err := errors.Join(os.Rename(dir, dir+".was"), os.Symlink(dir, dir)); err != nil {
		t.Fatal(err)
	}
	u.start()
	if s := u.Status()[0]; s.State != zone.StateFailed || s.Fault == "" {
		t.Errorf("the zone is %s with serial %d and fault %q, want it to have failed", s.State, s.Serial, s.Fault)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".was", dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Reload(false); err != nil {
		t.Fatal(err)
	}
	if s := u.Status()[0]; s.State != zone.StateServed || s.Serial != 6 {
		t.Errorf("after that is mended the zone is %s with serial %d, want 6", s.State, s.Serial)
	}
}

// TestMemoryIsTakenInOnce holds that updates which could not be read at first are remembered once each, however many others wait for that.
func TestMemoryIsTakenInOnce(t *testing.T) {
	dir := t.TempDir()
	path, at := filepath.Join(dir, "remembered"), time.Now()
	const n = 20_000
	write(t, path, string(zone.WriteUpdateMemory(at, n, false)))
	got, err := zone.LookAgain(dir, at, 8, unreadable(t, path))
	if err != nil || got != n {
		t.Errorf("%v: %d are remembered, want %d", err, got, n)
	}
}
