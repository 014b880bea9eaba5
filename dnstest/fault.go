package dnstest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// Fault is a way in which the server misbehaves for a name. The zero value does no harm. Several may be combined.
type Fault struct {
	Times int // how many queries it holds for; 0 for all

	Delay time.Duration   // before the reply
	Hold  <-chan struct{} // if not nil: no reply before this is closed
	Drop  bool            // no reply; over TCP the connection stays open
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
}

// parseFaultLine reads "NAME WORD…", where a word is times=N, copies=N, pad=N, delay=DURATION, rcode=NAME or the name of a flag in lower
// case.
func parseFaultLine(line string, into map[dnsname.Name][]*Fault) error {
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
