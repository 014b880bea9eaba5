package zone_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/tsig"
	"cenote/zone"
)

// A primary of somebody else's: how it is started with a zone's file and told that the file has changed.
type foreignPrimary struct {
	addr   netip.AddrPort
	reload func()
}

func secretText() string { return base64.StdEncoding.EncodeToString(transferKey.Secret) }

func namedPrimary(t *testing.T, file string, signed bool) foreignPrimary {
	named, rndc, addr, control, dir := program(t, "named"), program(t, "rndc"), dnstest.FreePort(t), dnstest.FreePort(t), t.TempDir()
	allow := "any"
	if signed {
		allow = `key "key.example"`
	}
	key := fmt.Sprintf("key \"key.example\" { algorithm hmac-sha256; secret %q; };\n", secretText())
	write(t, filepath.Join(dir, "named.conf"), key+fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile none; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
 recursion no; notify no; allow-transfer { %s; }; check-names primary ignore; dnssec-validation no; ixfr-from-differences yes; };
controls { inet 127.0.0.1 port %d allow { 127.0.0.1; } keys { "key.example"; }; };
zone "example" { type primary; file %q; };
`, dir, addr.Port(), allow, control.Port(), file))
	write(t, filepath.Join(dir, "rndc.conf"), key+fmt.Sprintf("options { default-key \"key.example\"; default-server 127.0.0.1; default-port %d; };\n", control.Port()))
	startPeer(t, addr, named, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	return foreignPrimary{addr, func() {
		if out, err := exec.Command(rndc, "-c", filepath.Join(dir, "rndc.conf"), "reload", "example").CombinedOutput(); err != nil {
			t.Fatalf("rndc: %v: %s", err, out)
		}
	}}
}

func knotPrimary(t *testing.T, file string, signed bool) foreignPrimary {
	knotd, knotc, addr, dir := program(t, "knotd"), program(t, "knotc"), dnstest.FreePort(t), t.TempDir()
	rule := "address: 127.0.0.1"
	if signed {
		rule += "\n   key: key.example"
	}
	conf := filepath.Join(dir, "knot.conf")
	write(t, conf, fmt.Sprintf(`server:
   rundir: %[1]q
   listen: 127.0.0.1@%[2]d
   udp-workers: 1
   tcp-workers: 1
   background-workers: 1
database:
   storage: %[1]q
key:
 - id: key.example
   algorithm: hmac-sha256
   secret: %[3]q
acl:
 - id: out
   action: transfer
   %[4]s
zone:
 - domain: example
   file: %[5]q
   acl: out
   semantic-checks: off
   zonefile-load: difference
   zonefile-sync: -1
   journal-content: changes
`, dir, addr.Port(), secretText(), rule, file))
	startPeer(t, addr, knotd, "-c", conf)
	return foreignPrimary{addr, func() {
		if out, err := exec.Command(knotc, "-b", "-c", conf, "zone-reload", "example").CombinedOutput(); err != nil {
			t.Fatalf("knotc: %v: %s", err, out)
		}
	}}
}

func nsdPrimary(t *testing.T, file string, signed bool) foreignPrimary {
	nsd, addr, dir := program(t, "nsd"), dnstest.FreePort(t), t.TempDir()
	key := "NOKEY"
	if signed {
		key = "key.example"
	}
	conf, pid := filepath.Join(dir, "nsd.conf"), filepath.Join(dir, "pid")
	write(t, conf, fmt.Sprintf(`server:
 ip-address: 127.0.0.1@%d
 server-count: 1
 username: ""
 zonesdir: %[2]q
 database: ""
 pidfile: %[3]q
 xfrdfile: ""
 zonelistfile: ""
remote-control:
 control-enable: no
key:
 name: key.example
 algorithm: hmac-sha256
 secret: %[4]q
zone:
 name: example
 zonefile: %[5]q
 provide-xfr: 127.0.0.1 %[6]s
 store-ixfr: yes
 create-ixfr: yes
`, addr.Port(), dir, pid, secretText(), file, key))
	startPeer(t, addr, nsd, "-d", "-c", conf)
	return foreignPrimary{addr, func() {
		id, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("kill", "-HUP", strings.TrimSpace(string(id))).CombinedOutput(); err != nil {
			t.Fatalf("kill: %v: %s", err, out)
		}
	}}
}

// TestPrimariesJudge takes a zone from named, knot and nsd, with a key and without, and after each of some random edits has the very records of the file.
func TestPrimariesJudge(t *testing.T) {
	edits := 5
	if os.Getenv("CENOTE_LONG") == "1" {
		edits = 200
	}
	for name, start := range map[string]func(*testing.T, string, bool) foreignPrimary{"named": namedPrimary, "knot": knotPrimary, "nsd": nsdPrimary} {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/signed=%v", name, signed), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(1995, 5936))
				file := filepath.Join(t.TempDir(), "zone")
				lines := map[string]string{}
				writeEdited(t, file, r, lines, 1)
				p := start(t, file, signed)
				key := (*tsig.Key)(nil)
				if signed {
					key = &transferKey
					_, all := followExample(t, p.addr, nil)
					if err := all.Look(t.Context(), dnsname.MustParse("example")); err == nil {
						t.Error("without the key it gave the zone away")
					}
				}
				k, all := followExample(t, p.addr, key)
				for serial := 1; serial <= 1+edits; serial++ {
					if serial > 1 {
						writeEdited(t, file, r, lines, serial)
						p.reload()
					}
					waitForSerial(t, k, all, uint32(serial))
					want, faults, err := zone.Load(dnsname.MustParse("example"), file, time.Now())
					if err != nil {
						t.Fatal(err, faults)
					}
					if got := k.Set().Exact([]byte("\x07example\x00")).Zone; !zone.SameData(got, want) {
						d := zone.Compare(got, want)
						t.Fatalf("serial %d: ours lacks %v and has %v", serial, d.Added, d.Removed)
					}
				}
				if n := all.Differences(); n < edits*2/3 {
					t.Errorf("%d of %d edits came as differences", n, edits)
				}
				if steps := k.Status()[0].Steps; edits < 10 && steps != edits {
					t.Errorf("%d steps in the history, want %d", steps, edits)
				}
			})
		}
	}
}

// writeEdited changes some of the lines of a zone, and writes its file.
func writeEdited(t *testing.T, file string, r *rand.Rand, lines map[string]string, serial int) {
	t.Helper()
	for range 1 + r.IntN(40) {
		name := fmt.Sprintf("h%d", r.IntN(100))
		if r.IntN(3) == 0 {
			delete(lines, name)
			continue
		}
		lines[name] = fmt.Sprintf("%[1]s %[2]d A 192.0.2.%[3]d\n%[1]s %[2]d MX %[3]d h%[4]d\n%[1]s %[2]d TXT \"%[3]d\"\n*.%[1]s SRV 1 2 %[3]d h%[4]d\n", name, 60+r.IntN(3), 1+r.IntN(250), r.IntN(100))
	}
	var all []string
	for _, text := range lines {
		all = append(all, text)
	}
	slices.Sort(all)
	text := fmt.Sprintf("$ORIGIN example.\n$TTL 300\n@ SOA ns host %d 3600 600 86400 120\n@ NS ns\nns A 192.0.2.1\n", serial) + strings.Join(all, "")
	write(t, file+".new", text)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Duration(serial) * time.Second) // named and nsd look at whole seconds
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
}

func followExample(t *testing.T, addr netip.AddrPort, key *tsig.Key) (*zone.Keeper, *zone.Secondaries) {
	t.Helper()
	apex := dnsname.MustParse("example")
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{Name: apex, Origin: "primary"}}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	all := zone.NewSecondaries(k, []zone.Secondary{{Name: apex, Primaries: []zone.Primary{{Addr: addr, Key: key}}, Bounds: zone.TransferBounds{Octets: 1 << 24, Records: 1 << 20, Time: time.Minute}}})
	return k, all
}

// waitForSerial asks the primary until it has a serial.
func waitForSerial(t *testing.T, k *zone.Keeper, all *zone.Secondaries, serial uint32) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := all.Look(t.Context(), dnsname.MustParse("example"))
		if err == nil && k.Status()[0].Serial == serial {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("serial %d does not come: %v, %+v", serial, err, k.Status()[0])
		}
	}
}
