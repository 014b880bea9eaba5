package zone_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// kept is a keeper of one zone in a file.
type kept struct {
	*zone.Keeper
	t    *testing.T
	path string
	log  *lines
}

// lines is a log that many may write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// serial is a zone with one.
func serial(n, address string) string {
	return "$TTL 60\n@ SOA ns host " + n + " 7200 3600 1209600 60\n@ NS ns\nns A " + address + "\n"
}

func keep(t *testing.T, text string) *kept {
	t.Helper()
	k := &kept{t: t, path: filepath.Join(t.TempDir(), "zone"), log: new(lines)}
	k.put(text)
	var err error
	k.Keeper, err = zone.NewKeeper(zone.KeeperConfig{
		Sources: []zone.Source{{Name: dnsname.MustParse("Example"), Path: k.path}}, Poll: 5 * time.Millisecond, Log: slog.New(slog.NewTextHandler(k.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// put replaces the file, as one should; "" removes it.
func (k *kept) put(text string) {
	k.t.Helper()
	if text == "" {
		if err := os.Remove(k.path); err != nil {
			k.t.Fatal(err)
		}
		return
	}
	write(k.t, k.path+".new", text)
	if err := os.Rename(k.path+".new", k.path); err != nil {
		k.t.Fatal(err)
	}
}

// state is how the zone stands, and what it answers.
func (k *kept) state() string {
	s := k.Status()[0]
	m := ask(k.t, k.Set(), "ns.example", dns.TypeA, false)
	answer := "nothing"
	if m != nil && len(m.Answer) > 0 {
		answer = m.Answer[0].(*dns.A).A.String()
	}
	return string(s.State) + " " + answer
}

// TestReloadKeepsTheLastGood holds what a new file does to a zone that has serial 10.
func TestReloadKeepsTheLastGood(t *testing.T) {
	for _, tc := range []struct{ name, text, want, fault, forced string }{
		{"a higher serial", serial("11", "192.0.2.2"), "served 192.0.2.2", "", "served 192.0.2.2"},
		{"the same serial", serial("10", "192.0.2.2"), "served 192.0.2.2", "", "served 192.0.2.2"},
		{"a lower serial", serial("9", "192.0.2.2"), "kept 192.0.2.1", "the serial goes back: the file has 9, and 10 is served", "served 192.0.2.2"},
		{"round the end (RFC 1982)", serial("4294967290", "192.0.2.2"), "kept 192.0.2.1", "the serial goes back", "served 192.0.2.2"},
		{"halfway round", serial("2147483657", "192.0.2.2"), "served 192.0.2.2", "", "served 192.0.2.2"},
		{"a fault", serial("11", "192.0.2.256"), "kept 192.0.2.1", "zone:4: error: bad IPv4 address in a record of type A", "kept 192.0.2.1"},
		{"no file", "", "kept 192.0.2.1", "no such file", "kept 192.0.2.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := keep(t, serial("10", "192.0.2.1"))
			if got := k.state(); got != "served 192.0.2.1" {
				t.Fatalf("at first: %s", got)
			}
			k.put(tc.text)
			all, err := k.Reload(false)
			if err != nil || k.state() != tc.want || !strings.Contains(all[0].Fault, tc.fault) || (tc.fault == "") != (all[0].Fault == "") {
				t.Errorf("got %s, fault %q, %v; want %s, %q", k.state(), all[0].Fault, err, tc.want, tc.fault)
			}
			if _, err := k.Reload(false); err != nil || tc.fault != "" && k.log.count("zone not loaded") != 1 {
				t.Errorf("the fault was told %d times, %v; want once", k.log.count("zone not loaded"), err)
			}
			if _, err := k.Reload(true); err != nil || k.state() != tc.forced {
				t.Errorf("by force: got %s, %v; want %s", k.state(), err, tc.forced)
			}
		})
	}
}

// TestRunFollowsTheFile holds that a change is served soon, and that a fault is told once however often the file is looked at.
func TestRunFollowsTheFile(t *testing.T) {
	k := keep(t, serial("1", "192.0.2.1"))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	for _, step := range []struct{ text, want string }{
		{serial("2", "192.0.2.2"), "served 192.0.2.2"}, {serial("3", "nonsense"), "kept 192.0.2.2"}, {"", "kept 192.0.2.2"}, {serial("4", "192.0.2.4"), "served 192.0.2.4"},
	} {
		k.put(step.text)
		for deadline := time.Now().Add(time.Minute); k.state() != step.want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got %s, want %s", k.state(), step.want)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := k.log.count("bad IPv4 address in a record of type A"); n != 1 {
		t.Errorf("the fault was told %d times, want once", n)
	}
}

// TestZoneThatWasNeverGoodAnswersForItsNames holds that nobody else is asked for them.
func TestZoneThatWasNeverGoodAnswersForItsNames(t *testing.T) {
	k := keep(t, "nonsense\n")
	room := new([dnsname.WireMax]byte)
	a := k.Set().Answer(make([]byte, 0, 512), &zone.Question{Name: []byte(dnsname.MustParse("www.example")), Type: dns.TypeA, Limit: 512, Admitted: true, Room: room})
	if a.Zone == nil || a.Msg != nil || a.Elsewhere {
		t.Errorf("got %+v, want a zone without an answer", a)
	}
	if got := k.Status()[0].State; got != zone.StateFailed {
		t.Errorf("state %s, want failed", got)
	}
}

// TestUpdateKeepsZonesThatStay holds that a zone is gone when it is left out, and not read again when it stays.
func TestUpdateKeepsZonesThatStay(t *testing.T) {
	k := keep(t, serial("1", "192.0.2.1"))
	other := filepath.Join(t.TempDir(), "other")
	write(t, other, serial("1", "192.0.2.9"))
	both := []zone.Source{{Name: dnsname.MustParse("example"), Path: k.path}, {Name: dnsname.MustParse("other.test"), Path: other}}
	if err := k.Update(both); err != nil {
		t.Fatal(err)
	}
	if n := k.log.count("zone loaded"); n != 2 || len(k.Status()) != 2 {
		t.Errorf("%d loads, %d zones, want 2 and 2", n, len(k.Status()))
	}
	if err := k.Update(both[1:]); err != nil || k.Set().Find([]byte(dnsname.MustParse("www.example"))) != nil {
		t.Errorf("the zone that was left out is still there, or %v", err)
	}
	if err := k.Update(append(both, both[0])); err == nil {
		t.Error("the same zone twice is taken")
	}
}

// TestCutFileIsReadLate holds that a file that is not written to its end is left alone, and read when it stays like that.
func TestCutFileIsReadLate(t *testing.T) {
	k := keep(t, serial("1", "192.0.2.1"))
	k.put(strings.TrimSuffix(serial("2", "192.0.2.22"), "\n"))
	for range 10 {
		k.Look()
	}
	if got := k.state(); got != "served 192.0.2.1" {
		t.Errorf("soon: got %s, want the file of before", got)
	}
	for range 20 {
		k.Look()
	}
	if got := k.state(); got != "served 192.0.2.22" {
		t.Errorf("late: got %s, want what the file says", got)
	}
}
