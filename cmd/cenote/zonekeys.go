package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"cenote/api"
	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"
	"cenote/zone"
)

type keysCommand struct {
	Show keysShow `cmd:"" default:"withargs" help:"Show the keys; this is the default."`
	Roll keysRoll `cmd:"" help:"Begin to roll the keys of a zone: a new one takes over as soon as everybody can know it."`
	DS   keysDS   `cmd:"" help:"Say that the zone above has the DS record of a key, or has it no more, where the server cannot ask."`
}

type keysShow struct {
	socketFlag
	Zone string `predictor:"zone" arg:"" optional:"" help:"Only those of this zone."`
	JSON bool   `help:"Print JSON."`
}

// Run shows the keys of the zones that are signed here. Exit status 1 says that there are none.
func (c *keysShow) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	var a api.KeysAnswer
	if err := client.Get(ctx, "/v1/keys", nil, &a); err != nil {
		return err
	}
	if c.Zone != "" {
		name, err := asciiName(c.Zone)
		if err != nil {
			return err
		}
		a.Zones = slices.DeleteFunc(a.Zones, func(z zone.ZoneKeys) bool { return !strings.EqualFold(z.Zone, strings.TrimSuffix(name, ".")) })
		if len(a.Zones) == 0 {
			return fmt.Errorf("%s is not a zone that is signed here", printable(c.Zone))
		}
	}
	if c.JSON {
		return printJSON(std.out, a)
	}
	if len(a.Zones) == 0 {
		return errors.New("no zone is signed here (zones[].sign); the keys of the configuration (TSIG) are others, which nobody is shown")
	}
	return printKeys(std.out, a.Zones, time.Now())
}

// printKeys shows keys, and beneath them what the zone above should have.
func printKeys(to io.Writer, zones []zone.ZoneKeys, now time.Time) error {
	t := newTable(to, "ZONE", "KEY", "ROLE", "ALGORITHM", "STATE", "MADE", "GOES")
	for i := range zones {
		for j := range zones[i].Keys {
			k := &zones[i].Keys[j]
			goes := "-"
			if !k.Remove.IsZero() {
				goes = k.Remove.UTC().Format(time.RFC3339)
			}
			t.row(printable(zones[i].Zone), strconv.Itoa(int(k.Tag)), string(k.Role), k.Algorithm, k.State, age(k.Created, now), goes)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for i := range zones {
		if err := printDS(to, &zones[i]); err != nil {
			return err
		}
	}
	return nil
}

// printDS shows which DS records the zone above should have.
func printDS(to io.Writer, z *zone.ZoneKeys) (err error) {
	print := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(to, format, args...)
		}
	}
	if z.Withdraws {
		print("\n%s: the zone above is asked to have no DS record.\n", printable(z.Zone))
		return err
	}
	for i := range z.Keys {
		switch k := &z.Keys[i]; {
		case k.Wanted:
			print("\n%s: for the zone above%s:\n%s\n", printable(z.Zone), seenText(k), k.DS)
		case k.DS != "" && k.Retire.IsZero() && !k.Submit.IsZero():
			print("\n%s: for the zone above, not before %s:\n%s\n", printable(z.Zone), k.Submit.UTC().Format(time.RFC3339), k.DS)
		}
	}
	return err
}

func seenText(k *zone.KeyStatus) string {
	if k.Seen.IsZero() {
		return ", which was not seen there yet"
	}
	return ", seen there since " + k.Seen.UTC().Format(time.RFC3339)
}

type keysRoll struct {
	socketFlag
	Zone string `predictor:"zone" arg:"" help:"The zone."`
	Role string `enum:"csk,ksk,zsk,all" default:"all" help:"Roll keys of this role: csk, ksk, zsk or all."`
	JSON bool   `help:"Print JSON."`
}

// Run begins to roll keys.
func (c *keysRoll) Run(ctx context.Context, std streams) error {
	role := zone.Role(c.Role)
	if c.Role == "all" {
		role = ""
	}
	return c.change(ctx, std, c.JSON, c.Zone, "/v1/keys/roll", func(name string) any { return api.RollRequest{Zone: name, Role: role} })
}

type keysDS struct {
	socketFlag
	Zone string `predictor:"zone" arg:"" help:"The zone."`
	Key  uint16 `arg:"" help:"The tag of the key."`
	Is   string `arg:"" enum:"seen,gone" help:"What its DS record is: seen or gone."`
	JSON bool   `help:"Print JSON."`
}

// Run says what the zone above has.
func (c *keysDS) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, c.JSON, c.Zone, "/v1/keys/ds", func(name string) any { return api.DSRequest{Zone: name, Tag: c.Key, Seen: c.Is == "seen"} })
}

// change asks for a change of keys, and shows what they are then.
func (c *socketFlag) change(ctx context.Context, std streams, asJSON bool, name, path string, request func(name string) any) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	if name, err = asciiName(name); err != nil {
		return err
	}
	var a api.KeysAnswer
	if err := client.Post(ctx, path, request(name), &a); err != nil {
		return err
	}
	a.Zones = slices.DeleteFunc(a.Zones, func(z zone.ZoneKeys) bool { return !strings.EqualFold(z.Zone, strings.TrimSuffix(name, ".")) })
	if asJSON {
		return printJSON(std.out, a)
	}
	return printKeys(std.out, a.Zones, time.Now())
}

// errUnproved is that nobody here checks what the world says of a zone.
var errUnproved = errors.New("answers are not validated here; say it with `cenote keys ds`")

// parentDS asks for the DS records of one of our zones: the zone above, if that is ours too, and else the world, whose answer has to be proved.
func (s *server) parentDS(ctx context.Context, apex dnsname.Name) ([][]byte, error) {
	room := new([dnsname.WireMax]byte)
	q := zone.Question{Name: []byte(apex), Type: wire.TypeDS, Limit: wire.MessageMax, Recurses: true, Admitted: true, Room: room}
	if a := s.zones.Set().Answer(make([]byte, 0, wire.MessageMax), &q); a.Msg != nil {
		return dsRecords(a.Msg, apex)
	}
	if !s.resolver.Validates() {
		return nil, errUnproved
	}
	got, err := s.resolver.Resolve(ctx, &rrcache.Key{Name: []byte(apex), Type: wire.TypeDS, Class: wire.ClassIN, DO: true}, nil)
	if err != nil {
		return nil, err
	}
	if got.Stale {
		return nil, errors.New("the answer is stale")
	}
	return dsRecords(got.Msg, apex)
}

// dsRecords are the DS records of a name in an answer.
func dsRecords(msg []byte, apex dnsname.Name) (out [][]byte, err error) {
	if rcode := wire.Rcode(msg); rcode != wire.RcodeSuccess && rcode != wire.RcodeNXDomain {
		return nil, fmt.Errorf("the answer is %s", wire.RcodeText(rcode))
	}
	w, err := wire.Records(msg)
	if err != nil {
		return nil, err
	}
	for w.Next() {
		owner, _, err := wire.AppendName(nil, msg, w.NameOff)
		if err != nil {
			return nil, err
		}
		if w.Section == wire.SectionAnswer && w.Type == wire.TypeDS && dnsname.Name(owner).Canonical() == apex {
			out = append(out, slices.Clone(w.RData()))
		}
	}
	return out, nil
}
