package blocklist_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

// reach is one row of a list as its publisher means it.
type reach struct {
	name dnsname.Name
	kind policy.Kind
}

func (r reach) String() string { return fmt.Sprint(r.kind, " ", r.name) }

func (r reach) covers(name dnsname.Name) bool {
	return r.kind != policy.KindBelow && name == r.name || r.kind != policy.KindExact && name.IsBelow(r.name)
}

// listFormat is how a row that blocks is written.
type listFormat struct {
	format, head string
	kind         policy.Kind
	row          string
}

// listFormats write rows, each in its own syntax. Families make rows differ that say the same of a name.
var listFormats = []listFormat{
	{"hosts", "", policy.KindExact, "0.0.0.0 NAME"},
	{"domains", "", policy.KindExact, "NAME"},
	{"wildcard", "", policy.KindSubtree, "*.NAME"},
	{"adblock", "", policy.KindSubtree, "||NAME^"},
	{"dnsmasq", "", policy.KindSubtree, "address=/NAME/#"},
	{"unbound", "server:", policy.KindSubtree, "local-zone: \"NAME.\" always_null"},
	{"csv", "domain,family", policy.KindExact, "NAME,FAMILY"},
	{"csv", "domain,family", policy.KindBelow, "*.NAME,FAMILY"},
}

// lists are feeds as text, and what their rows mean.
type lists struct {
	rows  [][]string // by feed
	means []reach
}

// add puts a random row at a random place of a feed.
func (l *lists) add(r *rand.Rand, name dnsname.Name) {
	i := r.IntN(len(listFormats))
	f := &listFormats[i]
	feed := slices.IndexFunc(listFormats, func(g listFormat) bool { return g.format == f.format })
	row := strings.NewReplacer("NAME", name.String(), "FAMILY", fmt.Sprint("family", r.IntN(100))).Replace(f.row)
	l.rows[feed] = slices.Insert(l.rows[feed], r.IntN(len(l.rows[feed])+1), row)
	l.means = append(l.means, reach{name, f.kind})
}

// crowd gives a name more families than a list may name for it, and then one row that reaches further.
func (l *lists) crowd(name dnsname.Name) {
	feed := slices.IndexFunc(listFormats, func(f listFormat) bool { return f.format == "csv" })
	for i := range blocklist.MembersMax {
		l.rows[feed] = append(l.rows[feed], fmt.Sprintf("%s,crowd%d", name, i))
	}
	l.rows[feed] = append(l.rows[feed], fmt.Sprintf("*.%s,last", name))
	l.means = append(l.means, reach{name, policy.KindExact}, reach{name, policy.KindBelow})
}

func (l *lists) clone() *lists {
	c := &lists{means: slices.Clone(l.means)}
	for _, rows := range l.rows {
		c.rows = append(c.rows, slices.Clone(rows))
	}
	return c
}

// blocks is the oracle: some row covers the name.
func (l *lists) blocks(name dnsname.Name) bool {
	return slices.ContainsFunc(l.means, func(r reach) bool { return r.covers(name) })
}

// compile makes a policy of the lists by the way of production: files, kept copies, index. Beside them stands an RPZ feed, whose names are empty
// non-terminals for its own wildcard, and for nobody else's.
func (l *lists) compile(t *testing.T, dir string) *policy.Policy {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, "policy"), 0o755))
	job := blocklist.CompileConfig{Dir: dir, Generation: 1, Merge: true}
	zone := policy.Zone{Name: "block", Action: policy.ActionNXDOMAIN}
	add := func(name, format, content string) {
		path := filepath.Join(dir, name)
		write(t, path, content)
		job.Feeds = append(job.Feeds, blocklist.CompileFeed{FeedConfig: blocklist.FeedConfig{Name: name, Path: path, Format: format, AllowEmpty: true}, Read: true, Serve: true})
		zone.Feeds = append(zone.Feeds, name)
	}
	add("rpz", "rpz", "@ SOA localhost. root.localhost. 1 2 3 4 5\n@ NS localhost.\nx.a.b.example CNAME .\n")
	for i, rows := range l.rows {
		if f := listFormats[i]; len(rows) > 0 {
			add(fmt.Sprint("list", i), f.format, f.head+"\n"+strings.Join(rows, "\n")+"\n")
		}
	}
	report, err := blocklist.Compile(t.Context(), job)
	must(t, err)
	for _, f := range report.Feeds {
		if f.Failure != nil {
			t.Fatal(f.Failure)
		}
	}
	index, err := nameindex.Open(filepath.Join(dir, "policy", "1.index"), nameindex.OpenOptions{})
	must(t, err)
	p, err := policy.New(policy.Config{Zones: []policy.Zone{zone}, Index: index})
	must(t, err)
	return p
}

// TestAddingARowNeverUnblocks compiles random lists, adds one row to one of them, and asks about every name that they could be about.
func TestAddingARowNeverUnblocks(t *testing.T) {
	const rounds = 30
	names := []dnsname.Name{dnsname.MustParse("example")}
	for i := 0; names[i].Labels() < 5; i++ {
		for _, label := range []string{"a", "b"} {
			names = append(names, dnsname.MustParse(label+"."+names[i].String()))
		}
	}
	crowded := dnsname.MustParse("a.b.example")
	listed := names[1:]
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			old := &lists{rows: make([][]string, len(listFormats))}
			for range r.IntN(12) {
				old.add(r, listed[r.IntN(len(listed))])
			}
			if seed%2 == 0 {
				old.crowd(crowded)
			}
			more := old.clone()
			more.add(r, listed[r.IntN(len(listed))])
			before, after := old.compile(t, t.TempDir()), more.compile(t, t.TempDir())
			for _, name := range names {
				ask := &policy.Request{Name: []byte(name), Time: time.Now(), Type: 1, Class: 1}
				was, is := before.CheckQuery(ask), after.CheckQuery(ask)
				if was.Matched() != old.blocks(name) || is.Matched() != more.blocks(name) || was.Matched() && !is.Matched() {
					t.Fatalf("%s: blocked %v, the oracle says %v; after %v was added blocked %v, the oracle says %v", name, was.Matched(), old.blocks(name),
						more.means[len(more.means)-1], is.Matched(), more.blocks(name))
				}
			}
		})
	}
}
