package dnsname_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

func TestParseAndPrint(t *testing.T) {
	l63 := strings.Repeat("a", 63)
	for _, tc := range []struct {
		name, in, want string
		err            error
	}{
		{"plain", "www.example", "www.example", nil},
		{"final dot", "www.example.", "www.example", nil},
		{"root", ".", ".", nil},
		{"case is kept", "WwW.Example", "WwW.Example", nil},
		{"escaped dot stays in its label", `www\.bank.example`, `www\046bank.example`, nil},
		{"decimal escape", `a\007b.example`, `a\007b.example`, nil},
		{"markup is escaped", `<b>.example`, `\060b\062.example`, nil},
		{"formula is escaped", `=cmd.example`, `\061cmd.example`, nil},
		{"longest label", l63 + ".example", l63 + ".example", nil},
		{"longest name", strings.Join([]string{l63, l63, l63, l63[:61]}, "."), strings.Join([]string{l63, l63, l63, l63[:61]}, "."), nil},
		{"empty", "", "", dnsname.ErrLabelEmpty},
		{"two dots", "a..example", "", dnsname.ErrLabelEmpty},
		{"leading dot", ".example", "", dnsname.ErrLabelEmpty},
		{"long label", l63 + "a.example", "", dnsname.ErrLabelLong},
		{"long name", strings.Join([]string{l63, l63, l63, l63[:62]}, "."), "", dnsname.ErrNameLong},
		{"cut escape", `a\`, "", dnsname.ErrEscape},
		{"large escape", `a\256`, "", dnsname.ErrEscape},
		{"short escape", `a\25`, "", dnsname.ErrEscape},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dnsname.Parse(tc.in)
			if !errors.Is(err, tc.err) {
				t.Fatalf("Parse(%q) error = %v, want %v", tc.in, err, tc.err)
			}
			if err == nil && got.String() != tc.want {
				t.Errorf("Parse(%q) = %s, want %s", tc.in, got, tc.want)
			}
		})
	}
}

func TestRelations(t *testing.T) {
	n := dnsname.MustParse("a.b.example")
	if got := n.Labels(); got != 3 {
		t.Errorf("Labels() = %d, want 3", got)
	}
	if got := n.Parent().String(); got != "b.example" {
		t.Errorf("Parent() = %s, want b.example", got)
	}
	if got := n.Suffix(1).String(); got != "example" {
		t.Errorf("Suffix(1) = %s, want example", got)
	}
	if !n.IsBelow(dnsname.MustParse("example")) || n.IsBelow(n) || dnsname.MustParse("ab.example").IsBelow(dnsname.MustParse("b.example")) {
		t.Error("IsBelow mixes up labels")
	}
	child, err := dnsname.Root.Child("example")
	if err != nil || child != dnsname.MustParse("example") {
		t.Errorf("Child = %s, %v, want example", child, err)
	}
}

func TestCanonicalOrder(t *testing.T) {
	// RFC 4034 section 6.1 gives this order.
	order := []string{"example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE", "z.example", `\001.z.example`, "*.z.example", `\200.z.example`}
	for i := range order {
		for j := range order {
			got := dnsname.Compare(dnsname.MustParse(order[i]), dnsname.MustParse(order[j]))
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("Compare(%s, %s) = %d", order[i], order[j], got)
			}
		}
	}
}

func TestLowerIsBytewise(t *testing.T) {
	src := make([]byte, 256+7)
	for i := range src {
		src[i] = byte(i)
	}
	got := make([]byte, len(src))
	dnsname.Lower(got, src)
	for i, c := range src {
		want := c
		if 'A' <= c && c <= 'Z' {
			want += 32
		}
		if got[i] != want {
			t.Errorf("Lower(%d) = %d, want %d", c, got[i], want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"www.example.", `a\046b.example`, `\255\000`, "*.example", "xn--bcher-kva.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := dnsname.Parse(s)
		if err != nil {
			return
		}
		if size, labels, err := dnsname.Check([]byte(n)); err != nil || size != len(n) || labels != n.Labels() {
			t.Fatalf("Parse(%q) made a name that Check calls %d octets, %d labels, %v", s, size, labels, err)
		}
		again, err := dnsname.Parse(n.String())
		if err != nil || again != n {
			t.Fatalf("%q does not survive its own presentation form %s: %v", s, n, err)
		}
		var buf [300]byte
		end, err := dns.PackDomainName(dns.Fqdn(n.String()), buf[:], 0, nil, false)
		if err != nil || !bytes.Equal(buf[:end], []byte(n)) {
			t.Fatalf("%s packs to %x elsewhere, here %x (%v)", n, buf[:end], n, err)
		}
	})
}

func BenchmarkLower(b *testing.B) {
	name := []byte(dnsname.MustParse("A.rather.LONG.name.of.a.Content.network.example"))
	b.ReportAllocs()
	for b.Loop() {
		dnsname.Lower(name, name)
	}
}

// textOf is what AppendText promises, octet by octet.
func textOf(name []byte) string {
	if len(name) == 0 || name[0] == 0 {
		return "."
	}
	var labels []string
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		var b strings.Builder
		for _, c := range name[i+1 : i+1+int(name[i])] {
			if strings.IndexByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*", c) >= 0 {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, `\%03d`, c)
			}
		}
		labels = append(labels, b.String())
	}
	return strings.Join(labels, ".")
}

// TestTextOfEveryOctet: every octet at every place of names of every length is printed as it is or escaped, with and without the root byte.
func TestTextOfEveryOctet(t *testing.T) {
	for length := 1; length <= dnsname.LabelMax; length++ {
		for c := range 256 {
			at := c % length
			name := append([]byte{byte(length)}, bytes.Repeat([]byte("x"), length)...)
			name[1+at] = byte(c)
			name = append(name, "\x07example\x00"...)
			for _, n := range [][]byte{name, name[:len(name)-1], name[:1+length]} {
				got := string(dnsname.AppendText([]byte("before:"), n))
				if want := "before:" + textOf(n); got != want {
					t.Fatalf("text of %q = %s, want %s", n, got, want)
				}
				if plain := len(got) == len("before:")+len(name)-2; len(n) == len(name) && plain == strings.Contains(got, `\`) {
					t.Fatalf("text of %q is %d octets long: escapes cannot be told by that", n, len(got))
				}
			}
		}
	}
}

func BenchmarkAppendText(b *testing.B) {
	for _, s := range []string{"www.example", "a-rather-long-label.of-a-malware.bad.example", `a\010.example`} {
		name := []byte(dnsname.MustParse(s))
		var buf []byte
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				buf = dnsname.AppendText(buf[:0], name)
			}
		})
	}
}
