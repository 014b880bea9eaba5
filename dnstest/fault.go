package dnstest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// Fault is a way in which the server misbehaves for a name. The zero value does no harm. Several may be combined.
type Fault struct {
	Times int    // how many queries it holds for; 0 for all
	Type  uint16 // it holds for queries of this type; 0 for all

	Delay time.Duration   // before the reply
	Hold  <-chan struct{} // if not nil: no reply before this is closed
	Drop  bool            // no reply; over TCP the connection stays open
	Loss  float64         // the share of queries, up to 1, that get no reply
	Close bool            // over TCP: end the connection instead of replying

	Rcode    int  // reply with this code and no records
	Truncate bool // over UDP: TC=1 and no records
	Trickle  bool // over TCP: the reply comes octet by octet, and the last one never
	Pad      int  // over UDP: this many octets more than the reply has, whatever the client has room for; needs EDNS
	NoEDNS   bool // FORMERR to whatever has an OPT record, as servers older than RFC 2671 did

	WrongID       bool // the reply has another id
	WrongQuestion bool // the reply is to another question
	LowerCase     bool // the reply's question is in lower case whatever was asked
	Junk          bool // the reply is three octets
	Copies        int  // how often the wrong reply is sent, each with another id under WrongID; 0 for once
	ThenRight     bool // after the wrong reply comes the right one, as when somebody races the server

	// What only a server of a Tree does.
	NoAA     bool   // without AA
	Refer    string // a referral to this zone of the tree, without AA, whatever was asked: "." upwards, the zone itself for a loop
	Empty    bool   // no records in any section
	NoSOA    bool   // negative answers come without their SOA record
	NoGlue   bool   // nothing in the additional section
	NoOPT    bool   // no OPT record and nothing that DO asks for, as a server that knows no EDNS and does not say so
	NoDNSSEC bool   // nothing that DO asks for
	Chatty   bool   // answers bring the zone's NS records and the addresses of these servers, which nobody asked for
}

// faults are the faults of a server by the name they hold for: a name itself, "*.NAME", or "*".
type faults map[dnsname.Name][]*Fault

func (l faults) clone() faults {
	out := faults{}
	for key, list := range l {
		for _, f := range list {
			c := *f
			out[key] = append(out[key], &c)
		}
	}
	return out
}

// take returns the fault in force for a query and counts one of its Times; the zero Fault if there is none.
func (l faults) take(qname string, qtype uint16) Fault {
	name, err := faultKey(qname)
	if err != nil {
		return Fault{}
	}
	for _, key := range patterns(name) {
		if f, ok := l.takeAt(key, qtype); ok {
			return f
		}
	}
	return Fault{}
}

// patterns are the keys that a name matches, the closest first.
func patterns(name dnsname.Name) []dnsname.Name {
	keys := []dnsname.Name{name}
	for up := name.Parent(); !up.IsRoot(); up = up.Parent() {
		if key, err := up.Child("*"); err == nil {
			keys = append(keys, key)
		}
	}
	return append(keys, dnsname.MustParse("*"))
}

func (l faults) takeAt(key dnsname.Name, qtype uint16) (Fault, bool) {
	i := slices.IndexFunc(l[key], func(f *Fault) bool { return f.Type == 0 || f.Type == qtype })
	if i < 0 {
		return Fault{}, false
	}
	f := *l[key][i]
	if f.Times == 1 {
		l[key] = slices.Delete(slices.Clone(l[key]), i, i+1)
	} else if f.Times > 1 {
		l[key][i].Times--
	}
	return f, true
}

// parseFaultLine reads "NAME WORD…", where a word is times=N, type=TYPE, copies=N, pad=N, delay=DURATION, loss=SHARE, rcode=NAME or the name
// of a flag in lower case.
func parseFaultLine(line string, into faults) error {
	words := strings.Fields(line)
	if len(words) < 2 {
		return fmt.Errorf("a fault is a name and at least one word")
	}
	key, err := faultKey(words[0])
	if err != nil {
		return err
	}
	fault := &Fault{}
	for _, word := range words[1:] {
		if err := fault.set(word); err != nil {
			return err
		}
	}
	into[key] = append(into[key], fault)
	return nil
}

// faultKey is the canonical form of a name, or of "*", which stands for every name.
func faultKey(name string) (dnsname.Name, error) {
	n, err := dnsname.Parse(name)
	return n.Canonical(), err
}

func (f *Fault) set(word string) (err error) {
	key, value, _ := strings.Cut(word, "=")
	flags := map[string]*bool{
		"drop": &f.Drop, "close": &f.Close, "truncate": &f.Truncate, "noedns": &f.NoEDNS, "wrongid": &f.WrongID,
		"wrongquestion": &f.WrongQuestion, "lowercase": &f.LowerCase, "junk": &f.Junk, "thenright": &f.ThenRight, "trickle": &f.Trickle,
	}
	if flag, ok := flags[key]; ok && value == "" {
		*flag = true
		return nil
	}
	switch key {
	case "type":
		if f.Type = dns.StringToType[strings.ToUpper(value)]; f.Type == 0 {
			err = fmt.Errorf("unknown type %q", value)
		}
	case "loss":
		f.Loss, err = strconv.ParseFloat(value, 64)
	case "times":
		f.Times, err = strconv.Atoi(value)
	case "copies":
		f.Copies, err = strconv.Atoi(value)
	case "pad":
		f.Pad, err = strconv.Atoi(value)
	case "delay":
		f.Delay, err = time.ParseDuration(value)
	case "rcode":
		code, ok := dns.StringToRcode[strings.ToUpper(value)]
		if f.Rcode = code; !ok {
			err = fmt.Errorf("unknown rcode %q", value)
		}
	default:
		err = fmt.Errorf("unknown fault %q", word)
	}
	return err
}

// setTree is set for a server of a tree, which can do more.
func (f *Fault) setTree(word string) error {
	key, value, _ := strings.Cut(word, "=")
	flags := map[string]*bool{
		"noaa": &f.NoAA, "empty": &f.Empty, "nosoa": &f.NoSOA, "noglue": &f.NoGlue, "noopt": &f.NoOPT, "nodnssec": &f.NoDNSSEC, "chatty": &f.Chatty,
	}
	if flag, ok := flags[key]; ok && value == "" {
		*flag = true
		return nil
	}
	switch {
	case word == "lame":
		f.Rcode = dns.RcodeRefused
	case key == "refer" && value != "":
		f.Refer = value
	default:
		return f.set(word)
	}
	return nil
}

// spoils reports whether the fault makes a reply that a careful client must refuse.
func (f *Fault) spoils() bool { return f.WrongID || f.WrongQuestion || f.Junk }

// spoil turns a right reply into copy n of the wrong one, in wire form.
func (f *Fault) spoil(reply *dns.Msg, n int) ([]byte, error) {
	if f.Junk {
		return []byte{1, 2, 3}, nil
	}
	wrong := reply.Copy()
	if f.WrongID {
		wrong.Id += 1 + uint16(n%math.MaxUint16)
	}
	if f.WrongQuestion && len(wrong.Question) > 0 {
		wrong.Question[0].Name = "other." + wrong.Question[0].Name
	}
	return wrong.Pack()
}
