package blocklist_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/blocklist"

	"github.com/klauspost/compress/gzip"
)

// protectedFeed reads rows of a plain list of names under a protection.
func protectedFeed(t *testing.T, match blocklist.Match, p blocklist.Protection, rows string) (*rowSink, blocklist.Report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.domains")
	writeFile(t, path, rows)
	s, report, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "domains", Match: match, AllowEmpty: true, Protect: p})
	must(t, err)
	return s, report
}

// TestProtectedNames: a row is refused that stops a protected name, by the name itself or from above; what lies below one can be listed.
func TestProtectedNames(t *testing.T) {
	p := blocklist.Protection{Names: []string{"www.bank.example", "solo.example"}, Domains: []string{"own.example"}}
	for _, tc := range []struct {
		match blocklist.Match
		name  string
		by    string // "" if the row is served
	}{
		{blocklist.MatchExact, "www.bank.example", "policy.protect"},
		{blocklist.MatchExact, "WWW.Bank.example.", "policy.protect"},
		{blocklist.MatchSubtree, "www.bank.example", "policy.protect"},
		{blocklist.MatchBelow, "www.bank.example", ""},
		{blocklist.MatchExact, "bank.example", ""},
		{blocklist.MatchSubtree, "bank.example", "www.bank.example, policy.protect"},
		{blocklist.MatchBelow, "bank.example", "www.bank.example, policy.protect"},
		{blocklist.MatchExact, "evil.www.bank.example", ""},
		{blocklist.MatchSubtree, "evil.www.bank.example", ""},
		{blocklist.MatchSubtree, "other.bank.example", ""},
		{blocklist.MatchExact, "own.example", "policy.protect"},
		{blocklist.MatchBelow, "own.example", "policy.protect"},
		{blocklist.MatchExact, "a.own.example", "policy.protect"},
		{blocklist.MatchSubtree, "c.b.a.own.example", "policy.protect"},
		{blocklist.MatchSubtree, "notown.example", ""},
		{blocklist.MatchSubtree, "own.example.evil.example", ""},
		{blocklist.MatchExact, "solo.example", "policy.protect"},
		{blocklist.MatchBelow, "solo.example", ""},
	} {
		s, report := protectedFeed(t, tc.match, p, tc.name+"\n")
		count := report.Faults[blocklist.ReasonProtected]
		switch {
		case tc.by == "" && (count != nil || len(s.rows) != 1):
			t.Errorf("%s %s is refused: %v", tc.match, tc.name, s.faults)
		case tc.by != "" && (count == nil || count.First.By != tc.by || len(s.rows) != 0):
			t.Errorf("%s %s: faults %v, want it refused by %q", tc.match, tc.name, s.faults, tc.by)
		}
	}
}

// TestProtectedTopLevelDomain: where suffixes may be listed, one above a protected name may not, nor one that is protected with all below.
func TestProtectedTopLevelDomain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.domains")
	writeFile(t, path, "example\nx.internal\nfree\n")
	c := blocklist.FeedConfig{Path: path, Format: "domains", Match: blocklist.MatchSubtree, AllowSuffixes: true}
	c.Protect = blocklist.Protection{Names: []string{"www.own.example"}, Domains: []string{"internal"}}
	s, _, err := readFeed(t, c)
	must(t, err)
	wantLines(t, "rows", s.rows, "3 subtree free")
}

// TestBuiltinProtection holds that names are protected without which networks stand still, and that what is malicious among them is not.
func TestBuiltinProtection(t *testing.T) {
	rows := "t.me\nsteamcommunity.com\na.root-servers.net\nocsp.digicert.com\nwindowsupdate.com\ncaptive.apple.com\ngithub.com\npool.ntp.org\n"
	for _, match := range []blocklist.Match{blocklist.MatchExact, blocklist.MatchSubtree} {
		if s, report := protectedFeed(t, match, blocklist.Protection{Builtin: true}, rows); len(s.rows) > 0 || report.Refused != 8 {
			t.Errorf("%s: these are served: %q", match, s.rows)
		}
	}
	rows = "evil.github.io\nevil.t.me.example\ncdn.evil.digicert.example\nsteamcommunlty.com\n"
	if s, _ := protectedFeed(t, blocklist.MatchSubtree, blocklist.Protection{Builtin: true}, rows); len(s.rows) != 4 {
		t.Errorf("these are refused: %v", s.faults)
	}
}

// TestListsOfProtectedNames: plain lists and warninglists of MISP, of the types that say names and networks.
func TestListsOfProtectedNames(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ name, list, refused, held string }{
		{"plain", "\ufeff# ours\n\nwww.own.example  # the shop\r\n.all.example\n198.51.100.0/24\n", "2 3 4", "6"},
		{"string", `{"name": "n", "type": "string", "list": ["www.own.example", "01ba4719c80b6fe9", "http://x.example/y", ".all.example"]}`, "2 3 4", ""},
		{"hostname", ` {"type": "hostname", "list": ["all.example", ".all.example"]}`, "3 4", ""},
		{"cidr", `{"type": "cidr", "list": ["198.51.100.7", "2001:db8::/32"]}`, "", "6 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, feed := filepath.Join(dir, tc.name), filepath.Join(dir, tc.name+".ips")
			writeFile(t, list, tc.list)
			writeFile(t, feed, "evil.example\nwww.own.example\nall.example\nx.all.example\n192.0.2.1\n198.51.100.0/28\n2001:db8::1\n")
			s, report, err := readFeed(t, blocklist.FeedConfig{Path: feed, Format: "addresses", Protect: blocklist.Protection{Lists: []string{list}}})
			must(t, err)
			var refused, held []string
			for _, f := range s.faults {
				switch f.Reason {
				case blocklist.ReasonProtected:
					refused = append(refused, fmt.Sprint(f.Line))
				case blocklist.ReasonHeldNetwork:
					held = append(held, fmt.Sprint(f.Line))
				default:
					t.Errorf("unexpected fault %v", f)
				}
				if f.By != tc.name {
					t.Errorf("line %d is by %q, want the name of the list", f.Line, f.By)
				}
			}
			if strings.Join(refused, " ") != tc.refused || strings.Join(held, " ") != tc.held || report.Held != len(held) {
				t.Errorf("refused %q, held %q; want %q and %q", refused, held, tc.refused, tc.held)
			}
		})
	}
}

// TestUselessListsAreRefused: a guard that a wrong file could take away would be none.
func TestUselessListsAreRefused(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct{ list, popular, want string }{
		"nothing":          {list: "# nothing\n", want: "nothing that can be used"},
		"no name":          {list: "a.example\nnot a name!\n", want: "line 2 is neither a name nor a network"},
		"substring":        {list: `{"type": "substring", "list": ["a.example"]}`, want: `type "substring", and those of type string, hostname and cidr are taken`},
		"regex":            {list: `{"type": "regex", "list": ["a.*"]}`, want: `type "regex"`},
		"broken":           {list: `{"type": "string", "list": [`, want: "is none"},
		"hashes alone":     {list: `{"type": "string", "list": ["https://a.example/b"]}`, want: "nothing that can be used"},
		"no popular names": {popular: "rank,domain\n", want: "nothing that can be used"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		writeFile(t, path, tc.list+tc.popular)
		p, want := blocklist.Protection{Lists: []string{path}}, blocklist.ErrProtected
		if tc.popular != "" {
			p, want = blocklist.Protection{Popular: blocklist.Popular{Lists: []string{path}}}, blocklist.ErrPopular
		}
		err := blocklist.CheckProtection(&p)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want that %q", name, err, tc.want)
		}
	}
	for what, p := range map[string]blocklist.Protection{
		"a missing list": {Lists: []string{filepath.Join(dir, "none")}}, "a directory": {Lists: []string{dir}},
		"too many lists": {Lists: slices.Repeat([]string{filepath.Join(dir, "none")}, blocklist.ProtectListsMax+1)},
		"no name":        {Names: []string{"a b"}}, "no domain": {Domains: []string{"-a..b"}},
	} {
		if err := blocklist.CheckProtection(&p); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// TestSizesOfListsAreBounded fills a list up to its bounds and over them.
func TestSizesOfListsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	writeFile(t, path, "a.example\n")
	must(t, os.Truncate(path, blocklist.ProtectListMax+1))
	p := blocklist.Protection{Lists: []string{path}}
	if err := blocklist.CheckProtection(&p); err == nil || !strings.Contains(err.Error(), "67108864 octets") {
		t.Errorf("a list that is too large: %v", err)
	}
	if raceEnabled {
		return // five million entries, read by one goroutine
	}
	writeFile(t, path, strings.Repeat("a.bc\n", blocklist.ProtectEntriesMax))
	must(t, blocklist.CheckProtection(&p))
	writeFile(t, path, strings.Repeat("a.bc\n", blocklist.ProtectEntriesMax+1))
	if err := blocklist.CheckProtection(&p); err == nil || !strings.Contains(err.Error(), "more than 5000000 names") {
		t.Errorf("one entry too many: %v", err)
	}
}

// TestPatternsAreTriedOnSoManyNames: those beyond the bound of protected names are not.
func TestPatternsAreTriedOnSoManyNames(t *testing.T) {
	dir := t.TempDir()
	list, feed := filepath.Join(dir, "list"), filepath.Join(dir, "feed")
	var names strings.Builder
	for i := range blocklist.ProbesMax {
		fmt.Fprintf(&names, "n%d.example\n", i)
	}
	writeFile(t, list, names.String()+"last.example\n")
	writeFile(t, feed, fmt.Sprintf("/^n%d.example$/\n/^last.example$/\n", blocklist.ProbesMax-1))
	s, _, err := readFeed(t, blocklist.FeedConfig{Path: feed, Format: "adblock", Protect: blocklist.Protection{Lists: []string{list}}})
	must(t, err)
	wantLines(t, "rows", s.rows, "2 exact /^last.example$/ trigger=pattern")
}

// TestPopularNames: the forms of the lists, and what becomes of rows.
func TestPopularNames(t *testing.T) {
	rows := "first.example\nsecond.example\nfar.example\nbelow.first.example\n"
	for name, tc := range map[string]struct {
		list string
		hold int
		held string
	}{
		"rank first":                {"1,first.example\n2,second.example\n50,far.example\n", 10, "first.example second.example"},
		"name first, with a header": {"domain,bucket\nfirst.example,10\nsecond.example,10\nfar.example,100\n", 10, "first.example second.example"},
		"more columns":              {"GlobalRank,TldRank,Domain,TLD\n1,1,first.example,example,9\n11,2,second.example,example,7\n", 10, "first.example"},
		"quoted":                    {"\"1\",\"First.example\"\n", 10, "first.example"},
		"names alone":               {"second.example\nfar.example\n", 10, "second.example far.example"},
		"a warninglist":             {`{"type": "string", "list": ["far.example"]}`, 10, "far.example"},
		"every rank":                {"1,first.example\n99999,far.example\n", 0, "first.example far.example"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "top.csv")
			writeFile(t, path, tc.list)
			_, report := protectedFeed(t, blocklist.MatchSubtree, blocklist.Protection{Popular: blocklist.Popular{Lists: []string{path}, Hold: tc.hold}}, rows)
			var held []string
			for _, row := range report.HeldRows {
				held = append(held, row.Name)
				if row.State != blocklist.StateHeld || row.Reason != blocklist.ReasonHeldPopular || !strings.HasPrefix(row.By, "top.csv") {
					t.Errorf("%+v, want a popular name that is held", row)
				}
			}
			if strings.Join(held, " ") != tc.held || report.Held != len(held) {
				t.Errorf("held %q, want %q", held, tc.held)
			}
		})
	}
}

// TestTheStrongestListIsNamed: of several ranks the best, and of several lists the one that protects more.
func TestTheStrongestListIsNamed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"itself": "own.example\n", "all": ".own.example\n", "top": "9,p.example\n3,p.example\n7,p.example\n"} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	p := blocklist.Protection{
		Lists:   []string{filepath.Join(dir, "itself"), filepath.Join(dir, "all"), filepath.Join(dir, "itself")},
		Popular: blocklist.Popular{Lists: []string{filepath.Join(dir, "top")}},
	}
	s, _ := protectedFeed(t, blocklist.MatchExact, p, "a.own.example\np.example\n")
	if len(s.faults) != 2 || s.faults[0].By != "all" || s.faults[1].By != "top, rank 3" {
		t.Errorf("faults %v, want one by the list all and one by rank 3", s.faults)
	}
}

// TestPopularNamesAreNeverLetThroughInSilence: whatever the setting, the row is listed.
func TestPopularNamesAreNeverLetThroughInSilence(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top.csv")
	writeFile(t, top, "7,popular.example\n")
	for _, tc := range []struct {
		action blocklist.PopularAction
		state  blocklist.HeldState
		rows   string
	}{
		{blocklist.PopularHeld, blocklist.StateHeld, "2 exact other.example"},
		{blocklist.PopularLogOnly, blocklist.StateLogOnly, "1 exact popular.example action=disabled\n2 exact other.example"},
		{blocklist.PopularServed, blocklist.StateServed, "1 exact popular.example\n2 exact other.example"},
	} {
		p := blocklist.Protection{Popular: blocklist.Popular{Lists: []string{top}, Action: tc.action}}
		s, report := protectedFeed(t, blocklist.MatchExact, p, "popular.example\nother.example\n")
		wantLines(t, tc.action.String(), s.rows, tc.rows)
		rows := slices.Concat(report.HeldRows, report.PopularRows)
		if len(rows) != 1 || rows[0].Name != "popular.example" || rows[0].State != tc.state || rows[0].By != "top.csv, rank 7" || rows[0].Line != 1 {
			t.Errorf("%s: listed are %+v", tc.action, rows)
		}
		if held := tc.state == blocklist.StateHeld; held != (report.Held == 1) || held == (report.Popular == 1) {
			t.Errorf("%s: held %d, popular %d", tc.action, report.Held, report.Popular)
		}
		var back blocklist.PopularAction
		if text, err := tc.action.MarshalText(); err != nil || back.UnmarshalText(text) != nil || back != tc.action {
			t.Errorf("%s is read back as %s", tc.action, back)
		}
	}
}

// TestWhatLetsThroughIsNotGuarded: an exception, a passthru of a policy zone and a list of names to let through stop nobody.
func TestWhatLetsThroughIsNotGuarded(t *testing.T) {
	dir := t.TempDir()
	top := filepath.Join(dir, "top")
	writeFile(t, top, "popular.example\n")
	p := blocklist.Protection{Names: []string{"own.example"}, Popular: blocklist.Popular{Lists: []string{top}}}
	for _, tc := range []struct{ format, list, rows, faults string }{
		{"adblock", "@@||own.example^\n@@||popular.example^\n||own.example^\n", "1 subtree own.example exception=yes\n2 subtree popular.example exception=yes", "3 protected"},
		{"adblock", "/^own\\.example$/\n/evil[0-9]+\\.example/\n||o*n.example^\n", "2 exact /evil[0-9]+\\.example/ trigger=pattern", "1 protected\n3 protected"},
		{"rpz", "@ 60 SOA a. b. 1 1 1 1 1\n@ NS a.\nown.example CNAME rpz-passthru.\n*.own.example CNAME .\npopular.example CNAME .\nown2.example CNAME .\n",
			"3 exact own.example action=passthru\n4 below own.example action=nxdomain\n6 exact own2.example action=nxdomain", "5 held-popular"},
		{"rpz", "@ 60 SOA a. b. 1 1 1 1 1\n@ NS a.\nx.example CNAME .\nown.example.rpz-nsdname CNAME .\n*.own.example.rpz-nsdname CNAME .\nown.example A 192.0.2.1\n",
			"3 exact x.example action=nxdomain\n5 below own.example trigger=nsdname action=nxdomain", "4 protected\n6 protected"},
	} {
		path := filepath.Join(dir, "list")
		writeFile(t, path, tc.list)
		s, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: tc.format, Zone: "", Protect: p})
		must(t, err)
		wantLines(t, tc.format+" rows", s.rows, tc.rows)
		wantLines(t, tc.format+" faults", s.faultTexts(), tc.faults)
	}
	path := filepath.Join(dir, "allow")
	writeFile(t, path, "own.example\npopular.example\n")
	s, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "domains", Protect: p, LetsThrough: true})
	must(t, err)
	wantLines(t, "rows of a list of names to let through", s.rows, "1 exact own.example\n2 exact popular.example")
}

// TestDecidedRows: what an operator released is served, what was refused is counted for itself, and decisions bind no row that nothing holds.
func TestDecidedRows(t *testing.T) {
	dir := t.TempDir()
	top, path := filepath.Join(dir, "top"), filepath.Join(dir, "list")
	writeFile(t, top, "a.example\nb.example\nlog.example\n192.0.2.0/24\n")
	writeFile(t, path, "a.example\nb.example\nhosting.example\nfree.example\n192.0.2.1\n192.0.2.2\n")
	p := blocklist.Protection{Lists: []string{filepath.Join(dir, "nets")}, Popular: blocklist.Popular{Lists: []string{top}}}
	writeFile(t, p.Lists[0], "192.0.2.0/24\n")
	s, report, err := readFeed(t, blocklist.FeedConfig{
		Path: path, Format: "addresses", Protect: p, SuffixList: suffixFile(t),
		Released: []string{"a.example", "hosting.example", "192.0.2.1"}, Refused: []string{"b.example", "free.example", "192.0.2.2"},
	})
	must(t, err)
	wantLines(t, "rows", s.rows, "1 exact a.example\n3 exact hosting.example\n4 exact free.example\n5 exact 192.0.2.1 trigger=ip")
	wantLines(t, "faults", s.faultTexts(), "2 refused-by-operator\n6 refused-by-operator")
	if report.Released != 3 || report.Held != 0 || len(report.HeldRows) != 0 {
		t.Errorf("released %d, held %d; want 3 and 0", report.Released, report.Held)
	}
}

// TestNetworksAgainstAJudge asks at random about networks that a walk over all of them knows, too.
func TestNetworksAgainstAJudge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() netip.Prefix {
		if r.IntN(2) == 0 {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(4)), byte(r.IntN(256))}), 8+r.IntN(25)).Masked()
		}
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(3)), 15: byte(r.IntN(256))}), 33+r.IntN(96)).Masked()
	}
	for range 300 {
		var all []netip.Prefix
		for range 1 + r.IntN(20) {
			all = append(all, random())
		}
		networks := blocklist.NewNetworks(all)
		for range 50 {
			asked := random()
			want := slices.ContainsFunc(all, asked.Overlaps)
			if got := networks.Overlap(asked); got != want {
				t.Fatalf("%v overlaps %v: got %v, want %v", asked, all, got, want)
			}
		}
	}
}

// TestPopularityOfRealLists holds what formats.md, section 1.5, counted by other means: names of malware that are among the 100,000 most popular.
func TestPopularityOfRealLists(t *testing.T) {
	popular := blocklist.Popular{Lists: []string{sharedData(t, "top/cloudflare-radar-buckets.csv")}, Hold: 100_000}
	infostealers := t.TempDir()
	must(t, os.CopyFS(infostealers, os.DirFS(sharedData(t, "maltrail/infostealers"))))
	type list struct {
		path string
		want int
		hold int
	}
	lists := []list{{sharedData(t, "lists/phishing.domains"), 4, 10_000}, {infostealers, 0, 10_000}}
	if raceEnabled {
		lists = append(lists, list{infostealers, 105, 100_000}) // the two files more that the archive has add none
	} else {
		unpack(t, sharedData(t, "maltrail/malware.tar.gz"), infostealers, "lokibot.txt", "agenttesla.txt")
		lists = append(lists, list{sharedData(t, "maltrail/malware.tar.gz"), 217, 100_000}, list{sharedData(t, "maltrail/malware.tar.gz"), 7, 10_000},
			list{infostealers, 105, 100_000}, list{sharedData(t, "lists/phishing.domains"), 23, 100_000})
	}
	for _, tc := range lists {
		popular.Hold = tc.hold
		c := blocklist.FeedConfig{Name: "real", Path: tc.path, Protect: blocklist.Protection{Popular: popular}}
		report, err := blocklist.ReadFeed(t.Context(), c, dropSink{})
		must(t, err)
		names := map[string]bool{}
		for _, row := range report.HeldRows {
			if row.Reason == blocklist.ReasonHeldPopular {
				names[row.Name] = true
			}
		}
		if len(names) != tc.want || len(report.HeldRows) != report.Held {
			t.Errorf("%s, up to rank %d: %d popular names, want %d; %d of %d held rows are listed", filepath.Base(tc.path), tc.hold, len(names), tc.want, len(report.HeldRows), report.Held)
		}
	}
}

// unpack writes the named files of an archive into a directory.
func unpack(t *testing.T, archive, dir string, names ...string) {
	t.Helper()
	f, err := os.Open(archive)
	must(t, err)
	defer f.Close()
	plain, err := gzip.NewReader(f)
	must(t, err)
	found := 0
	for members := tar.NewReader(plain); ; {
		m, err := members.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		if name := filepath.Base(m.Name); slices.Contains(names, name) {
			body, err := io.ReadAll(members)
			must(t, err, os.WriteFile(filepath.Join(dir, name), body, 0o600))
			found++
		}
	}
	if found != len(names) {
		t.Fatalf("%d of %q are in %s", found, names, archive)
	}
}

// TestRealListsStopNothingThatManyNeed reads the lists of malware under what is built in and all warninglists that a deployment would give, and wants
// neither to cost more than single rows.
func TestRealListsStopNothingThatManyNeed(t *testing.T) {
	p := blocklist.Protection{Builtin: true}
	for _, list := range []string{"crl-hostname", "captive-portals", "microsoft-office365", "tlds", "wikimedia"} {
		p.Lists = append(p.Lists, sharedData(t, "warninglists/"+list+".json"))
	}
	most := map[string]int{"maltrail/malware.tar.gz": 0, "lists/phishing.domains": 0, "lists/blackbook.csv": 0}
	if raceEnabled {
		most = map[string]int{"maltrail/infostealers": 0, "lists/blackbook.csv": 0}
	}
	for path, most := range most {
		report, err := blocklist.ReadFeed(t.Context(), blocklist.FeedConfig{Name: "real", Path: sharedData(t, path), Protect: p}, dropSink{})
		must(t, err)
		if c := report.Faults[blocklist.ReasonProtected]; c != nil && c.Count > most {
			t.Errorf("%s: %d rows are refused, first %v; want at most %d", path, c.Count, c.First, most)
		}
	}
}

// FuzzProtectList reads whatever it is given as a list of protected and of popular names.
func FuzzProtectList(f *testing.F) {
	for _, seed := range []string{"a.example\n.b.example # all\n192.0.2.0/24\n", `{"type":"hostname","list":[".a.example","x"]}`, "1,a.example\nb.example,2\n", "\ufeff\n#\n"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "list")
	f.Fuzz(func(t *testing.T, body []byte) {
		must(t, os.WriteFile(path, body, 0o600))
		for _, p := range []blocklist.Protection{{Lists: []string{path}}, {Popular: blocklist.Popular{Lists: []string{path}, Hold: 5}}} {
			guarded, err := blocklist.NewGuarded(&p)
			if err != nil && !errors.Is(err, blocklist.ErrProtected) && !errors.Is(err, blocklist.ErrPopular) {
				t.Fatalf("the error blames no list: %v", err)
			}
			if err == nil {
				_, _ = guarded.Read(t.Context(), blocklist.FeedConfig{Path: path, Format: "addresses", AllowEmpty: true}, dropSink{})
			}
		}
	})
}

// TestListedPopularRowsAreBounded: those beyond the bound are counted.
func TestListedPopularRowsAreBounded(t *testing.T) {
	var rows strings.Builder
	for i := range blocklist.HeldMax + 1 {
		fmt.Fprintf(&rows, "n%d.example\n", i)
	}
	top := filepath.Join(t.TempDir(), "top")
	writeFile(t, top, rows.String())
	p := blocklist.Protection{Popular: blocklist.Popular{Lists: []string{top}, Action: blocklist.PopularServed}}
	s, report := protectedFeed(t, blocklist.MatchExact, p, rows.String())
	if len(report.PopularRows) != blocklist.HeldMax || report.Popular != blocklist.HeldMax+1 || len(s.rows) != blocklist.HeldMax+1 {
		t.Errorf("%d of %d popular rows are listed, %d served", len(report.PopularRows), report.Popular, len(s.rows))
	}
}
