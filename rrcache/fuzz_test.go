package rrcache_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"

	"github.com/miekg/dns"
)

// keyIn returns the key to the question of an arbitrary message, if it has one.
func keyIn(msg []byte) *rrcache.Key {
	if len(msg) < wire.HeaderLen {
		return nil
	}
	n, _, err := dnsname.Check(msg[wire.HeaderLen:])
	if err != nil || len(msg) < wire.HeaderLen+n+4 {
		return nil
	}
	name := bytes.Clone(msg[wire.HeaderLen : wire.HeaderLen+n])
	dnsname.Lower(name, name)
	rest := msg[wire.HeaderLen+n:]
	return &rrcache.Key{Name: name, Type: binary.BigEndian.Uint16(rest), Class: binary.BigEndian.Uint16(rest[2:])}
}

// FuzzPut keeps arbitrary messages: no panic, the cache stays in order, and what comes out says what went in.
func FuzzPut(f *testing.F) {
	www := "www.example"
	signed := response(f, www, dns.TypeA, 3, "--", soa)
	signed.SetEdns0(1232, true)
	for _, m := range []*dns.Msg{
		response(f, www, dns.TypeA, 0, "www.example. 60 IN CNAME a.example.", "a.example. 70 IN A 192.0.2.1"),
		response(f, www, dns.TypeANY, 0, "www.example. 60 IN MX 5 a.example.", "www.example. 70 IN A 192.0.2.1"),
		response(f, www, dns.TypeA, 2), signed,
	} {
		f.Add(pack(f, m))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		k := keyIn(msg)
		if k == nil {
			k = keyOf(www, dns.TypeA)
		}
		c := newCache(t, rrcache.Config{})
		kept := c.Put(k, msg, start)
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, 65535)
		a := c.Get(k, start, dst)
		if kept != (a.State == rrcache.Fresh) {
			t.Fatalf("kept %v, found %v", kept, a.State)
		}
		if kept {
			compare(t, msg, dst[:a.Len])
			c.Get(k, at(float64(a.TTL)-0.5), dst)
			c.Get(k, at(float64(a.TTL)), dst)
		}
	})
}

// compare holds what came out of the cache against what went in.
func compare(t *testing.T, in, out []byte) {
	old, err := wire.Records(in)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := wire.Records(out)
	if err != nil {
		t.Fatal(err)
	}
	for kept.Next() {
		if !old.Next() || kept.Type != old.Type || kept.Class != old.Class || kept.Section != old.Section || !bytes.Equal(kept.RData(), old.RData()) {
			t.Fatalf("record of type %d came out as type %d", old.Type, kept.Type)
		}
		if kept.TTL > old.TTL || kept.TTL > 86400 {
			t.Fatalf("TTL %d came out as %d", old.TTL, kept.TTL)
		}
		a, _, errIn := wire.AppendName(nil, in, old.NameOff)
		b, _, errOut := wire.AppendName(nil, out, kept.NameOff)
		dnsname.Lower(a, a)
		dnsname.Lower(b, b)
		if errIn != nil || errOut != nil || !bytes.Equal(a, b) {
			t.Fatalf("owner %x came out as %x (%v, %v)", a, b, errIn, errOut)
		}
	}
	if kept.Err != nil || kept.Offset() != len(out) {
		t.Fatalf("what came out does not walk: %v", kept.Err)
	}
	var m dns.Msg
	if new(dns.Msg).Unpack(in) == nil && m.Unpack(out) != nil {
		t.Fatalf("the library reads what went in, not what came out: %x", out)
	}
}
