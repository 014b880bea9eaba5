package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/config"
)

// base is a file without fault or warning, to which the cases add.
const base = `
upstreams: [192.0.2.53]
feeds:
  - {name: malware, path: malware.hosts}
policy:
  sinkhole: {ipv4: [192.0.2.66]}
  zones:
    - {name: block, feeds: [malware]}
`

// faultsOf parses text and returns its faults as line:column: key: text | hint, and the same of its warnings: the first line of what is
// printed, without the file, and the hint.
func faultsOf(t *testing.T, text string) (faults, warnings []string) {
	t.Helper()
	_, w, err := config.Parse("/etc/cenote/cenote.yaml", []byte(text))
	if err != nil {
		all, ok := errors.AsType[config.Faults](err)
		if !ok {
			t.Fatalf("got error of type %T, want config.Faults", err)
		}
		for _, f := range all {
			faults = append(faults, firstLine(t, f.String())+" | "+f.Hint)
			if f.Hint == "" || f.Line == 0 && f.Key != "" {
				t.Errorf("%+v has no hint or no place", f)
			}
		}
	}
	for _, f := range w {
		warnings = append(warnings, firstLine(t, f.String())+" | "+f.Hint)
		if f.Hint == "" {
			t.Errorf("%+v has no hint", f)
		}
	}
	return faults, warnings
}

func firstLine(t *testing.T, printed string) string {
	t.Helper()
	line, _, _ := strings.Cut(printed, "\n")
	rest, found := strings.CutPrefix(line, "/etc/cenote/cenote.yaml:")
	if !found {
		t.Errorf("%q does not begin with the name of the file", line)
	}
	return rest
}

func TestReadingFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string // one for each fault, a part of it
	}{
		"unknown key, near one":       {"listn: []", []string{`1:1: listn: unknown key | did you mean "listen"?`}},
		"unknown key, other case":     {"rate-limit: {Enabled: true}", []string{`1:1: rate-limit: unknown key | did you mean "rate_limit"?`}},
		"unknown key of elsewhere":    {"cache: {retention: 5d}", []string{`1:9: cache.retention: unknown key | there is sightings.retention`}},
		"prefix of clients":           {"recursion: {subnets: {zones: [cdn.example], ipv4_prefix: 33}}", []string{`recursion.subnets.ipv4_prefix: "33" is too much`}},
		"address and port in braces":  {"recursion: {forward: [{name: a.example, upstreams: [192.0.2.1:53]}]}", []string{`upstreams[0].192.0.2.1: unknown key | put the address with its port in quotes`, "the key is missing"}},
		"unknown key, nothing near":   {"log: {colour: true}", []string{`1:7: log.colour: unknown key | known here: format, level`}},
		"key twice":                   {"state: /a\nlog:\n  level: info\n  level: warn", []string{`4:3: log.level: the key is here twice | the first is on line 3`}},
		"missing key":                 {"feeds:\n  - path: x", []string{`2:5: feeds[0].name: the key is missing | such as name: malware`}},
		"key without value":           {"feeds:\n  - name: a\n    path:", []string{`3:11: feeds[0].path: the key has no value`}},
		"list for one":                {"log: [info]", []string{`1:6: log: not a mapping`}},
		"one for a list":              {"feeds: malware", []string{`1:8: feeds: not a list`}},
		"scalar for the file":         {"malware", []string{`1:1: the file is not a mapping`}},
		"unknown word":                {"log: {level: warning}", []string{`1:14: log.level: unknown word "warning" | did you mean "warn"?`}},
		"word for true":               {"cookies: {enabled: yes}", []string{`1:20: cookies.enabled: "yes" is not true or false`}},
		"note without a text":         {"resolver: {notes: [{servers: 192.0.2.0/24, text: ''}]}", []string{`resolver.notes[0].text: the text is empty | such as text: customer 4711`}},
		"note that is too long":       {"resolver: {notes: [{servers: 192.0.2.0/24, text: " + strings.Repeat("x", 129) + "}]}", []string{`cannot be used here | such as text: customer 4711`}},
		"note without an option":      {"resolver: {notes: [{servers: 192.0.2.0/24, text: a, option: 0}]}", []string{`resolver.notes[0].option: "0" is too little | the least is 1`}},
		"name that is empty":          {"feeds: [{name: '', path: x}]", []string{`feeds[0].name: the text is empty | such as name: malware`}},
		"name of a certificate":       {"upstreams: [{address: 192.0.2.1, tls: a b}]", []string{`cannot be used here | such as tls: dns.example`}},
		"keepalive that is a time":    {"tcp: {keepalive: 10s}", []string{`tcp.keepalive: "10s" is not true or false`}},
		"any that is a number":        {"local_zones: {minimal_any: 1}", []string{`local_zones.minimal_any: "1" is neither true nor false`}},
		"listener in braces":          {"policy: {views: [{name: a, listeners: [192.0.2.1:53]}]}", []string{`is not an address and port | write an IP address with a port, such as 192.0.2.1:53 or [2001:db8::1]:53; in braces and brackets, what has a colon stands in quotes`}},
		"number for text":             {"feeds: [{name: a, path: x, family: 12}]", []string{`1:36: feeds[0].family: "12" is not text | write text; put it in quotes`}},
		"text for number":             {"tcp: {pipeline: many}", []string{`tcp.pipeline: "many" is not a whole number`}},
		"fraction for whole number":   {"tcp: {pipeline: 1.5}", []string{`tcp.pipeline: "1.5" is not a whole number`}},
		"too little":                  {"rate_limit: {burst: 0}", []string{`rate_limit.burst: "0" is too little | the least is 1`}},
		"too much":                    {"cache: {ttl_max: 8d}", []string{`cache.ttl_max: "8d" is too much | the most is 1w`}},
		"time without unit":           {"tcp: {idle: 10}", []string{`tcp.idle: "10" is not a time span | write a number with its unit`}},
		"size without unit":           {"cache: {size: 512}", []string{`cache.size: "512" is not a size`}},
		"share without sign":          {"query_log: {sample: 0.5}", []string{`query_log.sample: "0.5" is not a share`}},
		"share above all":             {"query_log: {sample: 101%}", []string{`query_log.sample: "101%" is not a share`}},
		"rate without time":           {"rate_limit: {queries: 5}", []string{`rate_limit.queries: "5" is not a rate`}},
		"address":                     {"policy: {sinkhole: {ipv4: [192.0.2.256]}}", []string{`policy.sinkhole.ipv4[0]: "192.0.2.256" is not an IP address`}},
		"port alone":                  {"listen: [':53']", []string{`listen[0].address: ":53" has no address | write 0.0.0.0:53 for every IPv4 address`}},
		"host name for address":       {"upstreams: [dns.example]", []string{`upstreams[0].address: "dns.example" is not an IP address with a port`}},
		"network with host bits":      {"access: {allow: [10.0.0.1/8]}", []string{`access.allow[0]: "10.0.0.1/8" has bits set beyond its 8 | did you mean "10.0.0.0/8"?`}},
		"network":                     {"access: {allow: [here]}", []string{`access.allow[0]: "here" is not a network`}},
		"domain name":                 {"local_zones: {deny: [a..example]}", []string{`local_zones.deny[0]: "a..example" is not a domain name`}},
		"root as domain name":         {"local_zones: {deny: [.]}", []string{`local_zones.deny[0]: the root cannot be used`}},
		"name of a feed":              {"feeds: [{name: ../x, path: y}]", []string{`feeds[0].name: "../x" cannot be used here | use small letters`}},
		"control character in text":   {`feeds: [{name: a, path: "x\u0007"}]`, []string{`feeds[0].path: "x\u0007" holds a character that cannot be shown`}},
		"tag":                         {"state: !!str /x", []string{`state: tags such as "!!str" are not used`}},
		"alias of nothing":            {"state: *x", []string{`state: nothing is named "x"`}},
		"alias of itself":             {"access: &a\n  allow: [*a]", []string{`access.allow[0]: ":" is not a network`}},
		"alias of itself alone":       {"log: &a {<<: *a}", []string{"log: the merged mappings lead in a circle"}},
		"alias of itself as list":     {"feeds: &a [*a]", []string{`feeds[0]: not a mapping`}},
		"second document":             {"state: /a\n---\nstate: /b", []string{`3:1: the file holds a second document`}},
		"no YAML: open bracket":       {"listen: [", []string{`1:9: not YAML`}},
		"no YAML: tab":                {"log:\n\tlevel: info", []string{`blanks, never with tabs`}},
		"no YAML: quote":              {"state: \"/a", []string{`1:8: not YAML`}},
		"no text":                     {"state: \xff", []string{`1:8: the file is not text in UTF-8`}},
		"zero byte":                   {"log: {}\r\nstate: aä\x00b", []string{`2:10: the file is not text in UTF-8`}},
		"word of many":                {"recolver: {}\ncolour: {}", []string{`did you mean "resolver"?`, `colour: unknown key | the keys are described`}},
		"feed where there is none":    {"policy: {sinkhole: {ipv4: [192.0.2.1]}, zones: [{name: z, feeds: [a]}]}", []string{`holds the feed "a", and there is none of that name | describe it under feeds`}},
		"all at once, in their order": {"log: {level: warning}\nlistn: []\ncache: {size: 5}", []string{`1:14:`, `2:1:`, `3:15:`}},
		"windows line ends":           {"log:\r\n  level: warning\r\n", []string{`2:10: log.level: unknown word`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := faultsOf(t, tc.text)
			comparePart(t, got, tc.want)
		})
	}
}

// comparePart compares each line with the part of it that is wanted.
func comparePart(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d: %s\nwant %d: %s", len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

func TestNoFault(t *testing.T) {
	for name, text := range map[string]string{
		"base":                         base,
		"byte order mark":              "\ufeff" + base,
		"windows line ends":            strings.ReplaceAll(base, "\n", "\r\n"),
		"document marks":               "---\n" + base + "...\n",
		"comments for elements":        base + "listen:\n  - 192.0.2.1\n  # - 192.0.2.2\naccess:\n  # deny: [10.0.0.0/8]\n",
		"anchor and alias":             base + "access: {allow: &nets [10.0.0.0/8]}\nrate_limit: {exempt: *nets}\n",
		"port zero twice":              base + "listen: ['127.0.0.1:0', '127.0.0.1:0']\n",
		"same port, UDP and TCP apart": base + "listen: [{address: 127.0.0.1, udp: true, tcp: true}, {address: '[::1]:53'}]\n",
		"token off loopback":           base + "api: {http: 192.0.2.1, token_file: t}\n",
	} {
		t.Run(name, func(t *testing.T) {
			faults, warnings := faultsOf(t, text)
			comparePart(t, faults, nil)
			comparePart(t, warnings, nil)
		})
	}
}

func TestChecks(t *testing.T) {
	for name, tc := range map[string]struct {
		text     string
		faults   []string
		warnings []string
	}{
		"empty file":               {"", nil, []string{"no policy zone", "no upstreams"}},
		"nobody to listen to":      {base + "listen: []", []string{"listen: the list is empty"}, nil},
		"listener without service": {base + "listen: [{address: 127.0.0.1, udp: false, tcp: false}]", []string{"neither UDP nor TCP"}, nil},
		"listener without TCP":     {base + "listen: [{address: 127.0.0.1, tcp: false}]", nil, []string{"serves no TCP"}},
		"listener twice":           {base + "listen: [127.0.0.1, '127.0.0.1:53']", []string{"listen[1].address: 127.0.0.1:53 is already served by 127.0.0.1:53"}, nil},
		"listener under wildcard":  {base + "listen: [192.0.2.1, 0.0.0.0]", []string{"already served by 192.0.2.1:53"}, nil},
		"IPv4 under [::]":          {base + "listen: ['[::]', 192.0.2.1]", []string{"already served by [::]:53"}, nil},
		"path read twice":          {strings.Replace(base, "feeds:", "feeds:\n  - {name: second, path: malware.hosts}", 1), nil, []string{"no zone holds", "read the same path"}},
		"sinkhole with many": {strings.Replace(base, "192.0.2.66", strings.Repeat("192.0.2.66,", 9), 1),
			[]string{"more than 8 sinkhole addresses"}, nil},
		"open to all":         {base + "access: {allow: [0.0.0.0/0]}", nil, []string{"warning: access.allow[0]: 0.0.0.0/0 lets everybody ask: an open resolver"}},
		"closed to all":       {base + "access: {allow: []}", nil, []string{"nobody may ask"}},
		"deny without allow":  {base + "access: {deny: [198.51.100.0/24]}", nil, []string{"does nothing"}},
		"burst of days":       {base + "rate_limit: {queries: 1/m, burst: 1000}", []string{"a burst of 1000 is what 60/h allows in 17 hours"}, nil},
		"identity too long":   {base + "local_zones: {identity: " + strings.Repeat("x", 256) + "}", []string{"local_zones.identity: the text has 256 octets; 255 is the most"}, nil},
		"burst under rate":    {base + "rate_limit: {burst: 10}", nil, []string{"the burst is less"}},
		"try longer than all": {base + "resolver: {timeout: 5s, total: 2s}", []string{"resolver.timeout: more than resolver.total"}, nil},
		"ttl not in seconds":  {base + "cache: {ttl_max: 1500ms}", []string{"cache.ttl_max: not a whole number of seconds"}, nil},
		"retention in hours":  {base + "sightings: {retention: 50h}", []string{"sightings.retention: not a number of whole days"}, nil},
		"least above most":    {base + "cache: {ttl_min: 1h, ttl_max: 5s}", []string{"cache.ttl_min: more than cache.ttl_max"}, nil},
		"upstream is itself":  {strings.Replace(base, "192.0.2.53", "127.0.0.1", 1), []string{"is this server itself"}, nil},
		"upstream is itself by wildcard": {strings.Replace(base, "192.0.2.53", "127.0.0.7", 1) + "listen: ['[::]']",
			[]string{"is this server itself"}, nil},
		"upstream twice":           {strings.Replace(base, "192.0.2.53", "192.0.2.53, 192.0.2.53", 1), []string{"is here twice"}, nil},
		"upstream without address": {strings.Replace(base, "192.0.2.53", "0.0.0.0", 1), []string{"cannot be asked"}, nil},
		"feed unknown to the zone": {strings.Replace(base, "[malware]", "[malwre]", 1),
			[]string{`holds the feed "malwre", and there is none of that name | did you mean "malware"?`}, []string{"no zone holds"}},
		"feed in the zone twice":   {strings.Replace(base, "[malware]", "[malware, malware]", 1), []string{"in this zone twice"}, nil},
		"zone without feeds":       {strings.Replace(base, "[malware]", "[]", 1), []string{"policy.zones[0].feeds: the list is empty"}, []string{"no zone holds"}},
		"no sinkhole":              {strings.Replace(base, "192.0.2.66", "", 1), []string{"has no addresses to answer with"}, nil},
		"sinkhole of other family": {strings.Replace(base, "192.0.2.66", "'2001:db8::1'", 1), []string{"does not belong under ipv4"}, nil},
		"sinkhole for many":        {strings.Replace(base, "192.0.2.66", "224.0.0.1", 1), []string{"cannot be the address of a sinkhole"}, nil},
		"columns of a hosts file":  {strings.Replace(base, "path:", "format: hosts, columns: {name: a}, path:", 1), []string{"columns are for feeds of format csv"}, nil},
		"http for everybody":       {base + "api: {http: 192.0.2.1}", []string{"api.token_file is not set"}, nil},
		"http on the DNS port":     {base + "api: {http: 127.0.0.1:53}", []string{"already served by 127.0.0.1:53"}, nil},
		"one path for two":         {base + "api: {socket: /run/x}\nsightings: {stream: /run/x}", []string{"sightings.stream: the same path as api.socket"}, nil},
		"feed is our own log":      {base + "query_log: {path: malware.hosts}", []string{"reads what query_log.path writes"}, nil},
		"feed holds the state":     {base + "state: malware.hosts/state", []string{"holds the state directory"}, nil},
		"checks and readings together": {strings.Replace(base, "[malware]", "[malwre]", 1) + "cache: {size: 5}",
			[]string{"there is none of that name", "is not a size"}, []string{"no zone holds"}},
	} {
		t.Run(name, func(t *testing.T) {
			faults, warnings := faultsOf(t, tc.text)
			comparePart(t, faults, tc.faults)
			comparePart(t, warnings, tc.warnings)
		})
	}
}

// TestAllTogether holds that a fault in one key hides no fault in another, whichever of them is found first, and that what only follows from
// a fault is not told beside it.
func TestAllTogether(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"unknown key of the top": {"lissten: [192.0.2.1]\n" + strings.Replace(base, "[malware]", "[malwre]", 1),
			[]string{`lissten: unknown key`, "there is none of that name"}},
		"value of the top that cannot be read": {"log: [info]\napi: {http: 192.0.2.1}" + base, []string{"log: not a mapping", "api.token_file is not set"}},
		"feeds under a wrong key":              {strings.Replace(base, "feeds:\n", "feds:\n", 1), []string{`feds: unknown key`}},
		"feeds twice":                          {base + "feeds: [{name: other, path: x}]\n" + "log: {level: no}", []string{`feeds: the key is here twice`, "unknown word"}},
		"feed without a name":                  {strings.Replace(base, "name: malware, ", "", 1) + "tcp: {per_client: 5000}", []string{`feeds[0].name: the key is missing`, "tcp.per_client: more"}},
		"two feeds without names":              {base + "upstrem: []\n" + "access: {alow: []}", []string{`upstrem: unknown`, `access.alow: unknown`}},
		"sinkhole under a wrong key":           {strings.Replace(base, "sinkhole:", "sinkole:", 1), []string{`policy.sinkole: unknown key`}},
		"action under a wrong key":             {strings.Replace(strings.Replace(base, "192.0.2.66", "", 1), "{name: block", "{acton: drop, name: block", 1), []string{`policy.zones[0].acton: unknown key`}},
		"token under a wrong key":              {base + "api: {http: 192.0.2.1, token: /t}", []string{`api.token: unknown key`}},
		"bound that cannot be read":            {base + "resolver: {timeout: 20s, total: long}", []string{"is not a time span"}},
		"listener that cannot be read":         {strings.Replace(base, "192.0.2.53", "127.0.0.1", 1) + "listen: 5353", []string{"listen: not a list"}},
	} {
		t.Run(name, func(t *testing.T) {
			faults, _ := faultsOf(t, tc.text)
			comparePart(t, faults, tc.want)
		})
	}
}

func TestNamesTwice(t *testing.T) {
	faults, _ := faultsOf(t, `
upstreams: [192.0.2.53]
feeds:
  - {name: a, path: x}
  - {name: a, path: y}
policy:
  sinkhole: {ipv6: ['2001:db8::1']}
  zones:
    - {name: z, feeds: [a]}
    - {name: z, feeds: [a]}
`)
	comparePart(t, faults, []string{`5:12: feeds[1].name: two feeds are named "a" | the other is on line 4`, `10:14: policy.zones[1].name: two zones are named "z" | the other is on line 9`})
}

func TestManyZones(t *testing.T) {
	var text strings.Builder
	text.WriteString(base)
	for i := range 2048 {
		fmt.Fprintf(&text, "    - {name: z%d, feeds: [malware]}\n", i)
	}
	faults, _ := faultsOf(t, text.String())
	comparePart(t, faults, []string{"there are 2049 policy zones; 2048 is the most"})
}

func TestMergedKeys(t *testing.T) {
	c, _, err := config.Parse("c.yaml", []byte(base+`    - &shadow {name: second, feeds: [malware], log_only: true, ttl: 1m}
    - {<<: *shadow, name: third, ttl: 2m}
`))
	if err != nil {
		t.Fatal(err)
	}
	third := c.Policy.Zones[2]
	if third.Name != "third" || !third.LogOnly || third.TTL != 2*time.Minute {
		t.Errorf("got %+v, want third with log_only of second and a ttl of its own", third)
	}
}

func TestInherited(t *testing.T) {
	c, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(base+"    - {name: own, feeds: [malware], sinkhole: {ipv4: [192.0.2.99]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"[192.0.2.66]", "[192.0.2.99]"} {
		if got := fmt.Sprint(c.Policy.Zones[i].Sinkhole.IPv4); got != want {
			t.Errorf("zone %d: got sinkhole %s, want %s", i, got, want)
		}
	}
	if got, want := c.Feeds[0].Path, config.Path("/etc/cenote/malware.hosts"); got != want {
		t.Errorf("got feed path %s, want %s", got, want)
	}
	if got, want := c.Feeds[0].ShrinkMax, config.Percent(50); got != want {
		t.Errorf("got the default %v, want %v", got, want)
	}
}

// zonesText is a configuration of so many zones, each with much that is said of it.
func zonesText(zones int) string {
	var b strings.Builder
	b.WriteString("keys: [{name: transfer.test, secret_file: transfer.key}]\nzones:\n")
	for i := range zones {
		fmt.Fprintf(&b, "  - {name: customer-%d.example, file: /etc/cenote/zones/customer-%[1]d.example, allow: [0.0.0.0/0, '::/0'], "+
			"allow_transfer: [192.0.2.53, 192.0.2.54, '2001:db8::53'], transfer_keys: [transfer.test], notify: [{address: 192.0.2.53, key: transfer.test}, {address: 192.0.2.54, key: transfer.test}], "+
			"zonemd: require, group: edge, sign: {enabled: true, denial: compact}, update: {grants: [{keys: [transfer.test], below: [dyn.customer-%[1]d.example], types: [A, AAAA]}]}}\n", i)
	}
	b.WriteString("  - {name: catalog.example, catalog: {groups: [edge]}, allow_transfer: [192.0.2.53]}\n")
	return b.String()
}

// TestRoomForZones holds that a configuration has room for as many zones as a list may have, whatever is said of each.
func TestRoomForZones(t *testing.T) {
	c, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(zonesText(config.ListMax-1)))
	if err != nil || len(c.Zones) != config.ListMax {
		t.Errorf("%.500v", err)
	}
}

func TestBoundsOfAFile(t *testing.T) {
	deep := func(open string) string { return strings.Repeat(open, config.DepthMax+1) }
	var anchors, aliases strings.Builder
	for i := range config.AnchorsMax + 1 {
		fmt.Fprintf(&anchors, "k%d: &a%d x\n", i, i)
	}
	aliases.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&aliases, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	merges := "x0: &x0 {k: 1}\n"
	for i := range 40 {
		merges += fmt.Sprintf("x%d: &x%d {<<: [*x%d, *x%d]}\n", i+1, i+1, i, i)
	}
	wide := "x0: &x0 {k: 1}\n"
	for i := range 6 {
		wide += fmt.Sprintf("x%d: &x%d {<<: [%s]}\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i), 12), ", "))
	}
	for name, tc := range map[string]struct{ text, want string }{
		"size":                      {strings.Repeat("#", config.FileMax+1), "the file is larger than 8388608 octets"},
		"depth of lists":            {deep("["), "lie inside each other"},
		"depth of dashes":           {deep("- "), "lie inside each other"},
		"depth of marks":            {deep("? "), "lie inside each other"},
		"depth of anchors":          {"a: " + deep("&a "), "lie inside each other"},
		"anchors":                   {anchors.String(), "names more than 100 values"},
		"zones":                     {"zones: [" + strings.Repeat("{name: a.example, file: a}, ", config.ListMax+1) + "]", "zones: the list has 10001 elements; 10000 is the most | further zones can come by a catalog"},
		"list":                      {"upstreams: [" + strings.Repeat("192.0.2.1,", config.ListMax+1) + "]", "10000 is the most"},
		"values by merges":          {merges + "log: {<<: *x40}", "the merged mappings lead in a circle, or further"},
		"values by lists of merges": {wide + "log: {<<: *x6}", "has more than 400000 values"},
		"aliases of lists":          {aliases.String() + "upstreams: *a9", `a0: unknown key`},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := faultsOf(t, tc.text)
			if !strings.Contains(strings.Join(got, "\n"), tc.want) {
				t.Errorf("got %.500q\nwant %q", got, tc.want)
			}
			if len(got) > config.FaultsMax {
				t.Errorf("got %d faults, want at most %d", len(got), config.FaultsMax)
			}
		})
	}
}

func TestFaultIsPrinted(t *testing.T) {
	_, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte("log:\n  level: warning\n"))
	want := `/etc/cenote/cenote.yaml:2:10: log.level: unknown word "warning"
      level: warning
             ^
    hint: did you mean "warn"?`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestFaultIsEscaped(t *testing.T) {
	_, _, err := config.Parse("c.yaml", []byte("log: {level: \"\\e[2J\"} # \x1b[31m\u202e"))
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e") {
		t.Errorf("got %q, want a fault without control characters", err)
	}
	_, _, err = config.Parse("c.yaml", []byte("log: {\"\\e[2J\": info}"))
	if err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), `log.\u001b[2J: unknown key`) {
		t.Errorf("got %q, want a fault with the key escaped", err)
	}
	long := strings.Repeat("x", 5000)
	for _, text := range []string{"log: {level: " + long + "}", "log: {" + long + ": info}"} {
		_, _, err = config.Parse("c.yaml", []byte(text))
		if err == nil || len(err.Error()) > 600 {
			t.Errorf("got a fault of %d octets, want a short one", len(err.Error()))
		}
	}
}

func TestFaultsAsJSON(t *testing.T) {
	_, _, err := config.Parse("c.yaml", []byte("feeds: [{name: a, path: x, format: host}]"))
	faults, _ := errors.AsType[config.Faults](err)
	b, err := json.Marshal(faults)
	if err != nil {
		t.Fatal(err)
	}
	want := `"line":1,"column":36,"key":"feeds[0].format"`
	if !strings.Contains(string(b), want) || !strings.Contains(string(b), `"hint":"did you mean \"hosts\"?"`) {
		t.Errorf("got %s, want %s and the hint", b, want)
	}
}

// FuzzParse: whatever the bytes are, there is a configuration or a fault, in bounded time and text.
func FuzzParse(f *testing.F) {
	f.Add([]byte(base))
	f.Add(config.DefaultYAML())
	f.Add([]byte("a: &a [*a]\nlog: {<<: *a}\n"))
	f.Add([]byte("log: &a {<<: *a}\nx: &x [&y {<<: [*x, *y]}]\ncache: {<<: *x}\n"))
	f.Add([]byte("listen: [':53', {address: [}]\n"))
	f.Add([]byte("? - &x !t a\n: |\n  b\n"))
	f.Add([]byte("%YAML 1.2\n---\nstate: >-\n  /a\n...\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, warnings, err := config.Parse("fuzz.yaml", b)
		if (c == nil) == (err == nil) {
			t.Fatalf("got configuration %v and error %v, want one of them", c, err)
		}
		if faults, ok := errors.AsType[config.Faults](err); err != nil && (!ok || len(faults) == 0 || len(faults) > config.FaultsMax) {
			t.Fatalf("got %T with %d faults: %v", err, len(faults), err)
		}
		for _, w := range warnings {
			_ = w.String()
		}
		faults, _ := errors.AsType[config.Faults](err)
		for _, fault := range faults {
			if fault.Hint == "" {
				t.Fatalf("a fault has no hint: %v", fault)
			}
		}
		if err != nil {
			for _, r := range err.Error() {
				if r < ' ' && r != '\n' {
					t.Fatalf("the fault holds the character %q: %q", r, err)
				}
			}
		}
	})
}
