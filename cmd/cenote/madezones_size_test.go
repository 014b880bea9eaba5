package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"

	"github.com/miekg/dns"
)

// editedLists are two lists: a large one that stays, and names beside it that are replaced by others at each edit.
type editedLists struct {
	t          *testing.T
	dir        string
	all, small int
}

// name is the i-th of the names of an edit.
func (e *editedLists) name(edit, i int) string { return fmt.Sprintf("edit%d-%d.small.test", edit, i) }

func (e *editedLists) writeLarge() {
	e.put("large", func(w *bufio.Writer) {
		for i := range e.all {
			fmt.Fprintf(w, "host%d.d%d.test\n", i, i%1000)
		}
	})
}

// edit replaces the names of the small list.
func (e *editedLists) edit(edit int) {
	e.put("small", func(w *bufio.Writer) {
		for i := range e.small {
			fmt.Fprintln(w, e.name(edit, i))
		}
	})
}

func (e *editedLists) put(name string, write func(*bufio.Writer)) {
	e.t.Helper()
	path := filepath.Join(e.dir, name)
	f, err := os.Create(path + ".new")
	if err != nil {
		e.t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	write(w)
	if err := w.Flush(); err != nil {
		e.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		e.t.Fatal(err)
	}
}

// TestEditOfALargePolicyReachesASecondary: of a policy of many names that is served as a zone, an edit is made and sent as what has changed, whether it is
// served as a delta of the index or was merged into one. With CENOTE_LONG=1 there are a million names, and the log says how long each step takes from the
// replacement of the list on.
func TestEditOfALargePolicyReachesASecondary(t *testing.T) {
	for _, tc := range []struct {
		name  string
		small int
		delta bool
	}{{"served as a delta", 1000, true}, {"merged", sized(2500, 6000), false}} {
		t.Run(tc.name, func(t *testing.T) {
			lists := &editedLists{t: t, dir: t.TempDir(), all: sized(20_000, 1_000_000), small: tc.small}
			primary := followEdits(t, lists, sized(3, 5))
			if status := primary.publisher.CompileStatus(); (status.DeltaNames > 0) != tc.delta {
				t.Errorf("the last edit was compiled otherwise: %+v", status)
			}
		})
	}
}

// followEdits serves a policy as a zone at two servers, and follows some edits from the lists of the first to the second.
func followEdits(t *testing.T, lists *editedLists, edits int) (primary *running) {
	t.Helper()
	lists.writeLarge()
	lists.edit(0)
	port, apex := dnstest.FreePort(t).Port(), dnsname.MustParse("rpz.test")
	primary = startServer(t, lists.dir, fmt.Sprintf(`
state: %[1]s/state
listen: ['127.0.0.1:0']
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
feeds:
  - {name: large, path: %[1]s/large, format: domains, match: exact}
  - {name: small, path: %[1]s/small, format: domains, match: exact, shrink_max: 100%%}
policy: {zones: [{name: block, feeds: [large, small], action: nxdomain}]}
zones: [{name: rpz.test, policy: {}, allow: [127.0.0.1/32], allow_transfer: [127.0.0.1/32], notify: ['127.0.0.1:%[2]d']}]
`, lists.dir, port))
	primary.wait("serving the zone", func() bool { return primary.serial(apex) > 0 })
	dir := t.TempDir()
	secondary := startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: ['127.0.0.1:%[2]d']
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
zones: [{name: rpz.test, primaries: ['%[3]s'], notify_from: [127.0.0.1/32]}]
`, dir, port, primary.addr()))
	secondary.wait("serving the zone", func() bool { return secondary.serial(apex) == primary.serial(apex) })
	for n := 1; n <= edits; n++ {
		time.Sleep(sizedTime(0, 3*time.Second))
		before, listed := primary.serial(apex), dnsname.MustParse(lists.name(n, lists.small-1))
		var live, made, there time.Duration
		began := time.Now()
		note := func(at *time.Duration, done bool) {
			if *at == 0 && done {
				*at = time.Since(began)
			}
		}
		lists.edit(n)
		secondary.wait("having the edit", func() bool {
			note(&live, primary.lists(listed))
			note(&made, primary.serial(apex) != before)
			note(&there, made > 0 && secondary.serial(apex) == primary.serial(apex))
			return there > 0
		})
		t.Logf("edit %d, of %d in %d names: in force after %v, a version of the zone after %v, at the secondary after %v", n, lists.small, lists.all,
			live.Round(time.Millisecond), made.Round(time.Millisecond), there.Round(time.Millisecond))
		for _, server := range []*running{primary, secondary} {
			lists.checkZone(server, apex, n)
		}
	}
	if whole, changes := primary.transfers(t, "whole"), primary.transfers(t, "changes"); whole != 1 || changes != float64(edits) {
		t.Errorf("the zone was sent %v times whole, and %v times what had changed, in %d edits", whole, changes, edits)
	}
	return primary
}

// checkZone holds a zone against what the lists say after an edit.
func (e *editedLists) checkZone(server *running, apex dnsname.Name, n int) {
	e.t.Helper()
	if got, want := server.zones.Set().Exact([]byte(apex)).Zone.Records(), e.all+e.small+2; got != want {
		e.t.Errorf("edit %d: the zone has %d records, want %d", n, got, want)
	}
	for edit, want := range map[int]int{n: dns.RcodeSuccess, n - 1: dns.RcodeNameError} {
		if r, text := server.ask("udp", e.name(edit, 0)+"."+apex.String(), dns.TypeCNAME); r.Rcode != want {
			e.t.Errorf("edit %d: asked for a name of edit %d the zone says %s", n, edit, text)
		}
	}
}

// serial is that of a zone; 0 if there is none.
func (r *running) serial(apex dnsname.Name) uint32 {
	served := r.zones.Set().Exact([]byte(apex))
	if served == nil || !served.Ready() {
		return 0
	}
	return served.Zone.Serial()
}
