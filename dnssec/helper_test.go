package dnssec_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"
)

// noon is the time of most tests.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// name is a canonical name in wire form.
func name(s string) []byte { return []byte(dnsname.MustParse(s).Canonical()) }

// records reads presentation format.
func records(t testing.TB, text string) []dns.RR {
	t.Helper()
	var out []dns.RR
	z := dns.NewZoneParser(strings.NewReader(strings.ReplaceAll(text, "\t", "")), ".", "")
	for rr, ok := z.Next(); ok; rr, ok = z.Next() {
		switch rr := rr.(type) { // the library packs types in their order alone
		case *dns.NSEC:
			slices.Sort(rr.TypeBitMap)
		case *dns.NSEC3:
			slices.Sort(rr.TypeBitMap)
		}
		out = append(out, rr)
	}
	if err := z.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// rdata is the RDATA of a record, uncompressed.
func rdata(t testing.TB, rr dns.RR) []byte {
	t.Helper()
	buf := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := dnsname.Check(buf)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), buf[n+10:end]...)
}

// set makes a Set of records of one name and type and of RRSIG records.
func set(t testing.TB, rrs ...dns.RR) *dnssec.Set {
	t.Helper()
	s := &dnssec.Set{}
	for _, rr := range rrs {
		h := rr.Header()
		s.Name, s.Class, s.TTL = name(h.Name), h.Class, h.Ttl
		if h.Rrtype == dns.TypeRRSIG {
			s.Sigs = append(s.Sigs, rdata(t, rr))
			continue
		}
		s.Type = h.Rrtype
		s.RData = append(s.RData, rdata(t, rr))
	}
	return s
}

// signer is a key pair of a zone.
type signer struct {
	key     *dns.DNSKEY
	private crypto.Signer
	ed448   ed448.PrivateKey
	life    [2]time.Time // of signatures, if not a month around noon
}

// newSigner makes a key that has its tag alone: see tagStore.
func newSigner(t testing.TB, zone string, flags uint16, algorithm uint8, bits int) *signer {
	t.Helper()
	for {
		if s := anySigner(t, zone, flags, algorithm, bits); tags.take(s) {
			return s
		}
	}
}

// tagStore has the tags of the keys made last, many more than a test makes. Two of them that are the same by chance would change what is found out about a
// signature, and the library takes 0 for a tag that nobody has set; withTag finds none of the smallest.
type tagStore struct {
	sync.Mutex
	last [256]uint16
	n    int
}

// tagMin is the least tag that a key may have.
const tagMin = 64

var tags tagStore

// take remembers the tags of a key, as it is and revoked, and reports whether both are good.
func (ts *tagStore) take(s *signer) bool {
	ts.Lock()
	defer ts.Unlock()
	both := [2]uint16{s.key.KeyTag(), s.revoked().key.KeyTag()}
	for _, tag := range both {
		if tag < tagMin || slices.Contains(ts.last[:], tag) {
			return false
		}
	}
	for _, tag := range both {
		ts.last[ts.n%len(ts.last)] = tag
		ts.n++
	}
	return true
}

// anySigner makes a key.
func anySigner(t testing.TB, zone string, flags uint16, algorithm uint8, bits int) *signer {
	t.Helper()
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}, Flags: flags, Protocol: 3, Algorithm: algorithm}
	if algorithm == dnssec.Ed448 {
		public, private, err := ed448.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k.PublicKey = base64.StdEncoding.EncodeToString(public)
		return &signer{key: k, ed448: private}
	}
	private, err := k.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key: k, private: private.(crypto.Signer)}
}

var rsaStore struct {
	sync.Mutex
	signers map[[2]int]*signer
}

// rsaSigner is a key of 1024 bits or more that several zones may have.
func rsaSigner(t testing.TB, zone string, flags uint16, algorithm uint8, bits int) *signer {
	t.Helper()
	rsaStore.Lock()
	defer rsaStore.Unlock()
	id := [2]int{int(algorithm), bits}
	s := rsaStore.signers[id]
	if s == nil {
		s = newSigner(t, zone, flags, algorithm, bits)
		if rsaStore.signers == nil {
			rsaStore.signers = map[[2]int]*signer{}
		}
		rsaStore.signers[id] = s
	}
	k := *s.key
	k.Hdr.Name, k.Flags = zone, flags
	return &signer{key: &k, private: s.private}
}

// ecSigner is a key of the quickest algorithm.
func ecSigner(t testing.TB, zone string, flags uint16) *signer {
	return newSigner(t, zone, flags, dnssec.Ed25519, 256)
}

// sign makes the signature of records of one name and type, valid for a month around noon, after edit.
func (s *signer) sign(t testing.TB, rrs []dns.RR, edit func(*dns.RRSIG)) *dns.RRSIG {
	t.Helper()
	sig := &dns.RRSIG{
		Hdr:        dns.RR_Header{Ttl: rrs[0].Header().Ttl},
		Algorithm:  s.key.Algorithm,
		Inception:  uint32(noon.Add(-15 * 24 * time.Hour).Unix()),
		Expiration: uint32(noon.Add(15 * 24 * time.Hour).Unix()),
		KeyTag:     s.key.KeyTag(),
		SignerName: s.key.Hdr.Name,
	}
	if !s.life[0].IsZero() {
		sig.Inception, sig.Expiration = uint32(s.life[0].Unix()), uint32(s.life[1].Unix())
	}
	if edit != nil || s.ed448 != nil {
		return s.signByHand(t, sig, rrs, edit)
	}
	if err := sig.Sign(s.private, rrs); err != nil {
		t.Fatal(err)
	}
	return sig
}

// signByHand signs what the library would not, such as fields that make no sense.
func (s *signer) signByHand(t testing.TB, sig *dns.RRSIG, rrs []dns.RR, edit func(*dns.RRSIG)) *dns.RRSIG {
	t.Helper()
	h := rrs[0].Header()
	sig.Hdr.Name, sig.Hdr.Rrtype, sig.Hdr.Class = h.Name, dns.TypeRRSIG, h.Class
	sig.TypeCovered, sig.OrigTtl = h.Rrtype, h.Ttl
	sig.Labels = uint8(dns.CountLabel(h.Name))
	if strings.HasPrefix(h.Name, "*.") {
		sig.Labels--
	}
	if edit != nil {
		edit(sig)
	}
	sig.Signature = base64.StdEncoding.EncodeToString(s.raw(t, s.signedData(t, sig, rrs)))
	return sig
}

// signedData is what a signature is made of, written without the code under test (RFC 4034 section 3.1.8.1).
func (s *signer) signedData(t testing.TB, sig *dns.RRSIG, rrs []dns.RR) []byte {
	t.Helper()
	bare := *sig
	bare.Signature, bare.SignerName = "AA==", strings.ToLower(sig.SignerName)
	data := rdata(t, &bare)
	data = data[:len(data)-1]
	owner := dnsname.Name(name(rrs[0].Header().Name))
	if count := dns.CountLabel(strings.TrimPrefix(rrs[0].Header().Name, "*.")); int(sig.Labels) < count {
		owner = "\x01*" + owner.Suffix(int(sig.Labels))
	}
	for _, rr := range sorted(t, rrs) {
		data = append(data, owner...)
		data = binary.BigEndian.AppendUint16(data, sig.TypeCovered)
		data = binary.BigEndian.AppendUint16(data, rrs[0].Header().Class)
		data = binary.BigEndian.AppendUint32(data, sig.OrigTtl)
		data = binary.BigEndian.AppendUint16(data, uint16(len(rr)))
		data = append(data, rr...)
	}
	return data
}

// sorted is the RDATA of records in order. Names in them are in lower case as they are.
func sorted(t testing.TB, rrs []dns.RR) [][]byte {
	out := make([][]byte, len(rrs))
	for i, rr := range rrs {
		out[i] = rdata(t, rr)
	}
	slices.SortFunc(out, bytes.Compare)
	return out
}

// raw signs octets as the key's algorithm has it.
func (s *signer) raw(t testing.TB, data []byte) []byte {
	t.Helper()
	var out []byte
	var err error
	switch s.key.Algorithm {
	case dnssec.Ed448:
		return ed448.Sign(s.ed448, data, "")
	case dnssec.Ed25519:
		out, err = s.private.Sign(rand.Reader, data, crypto.Hash(0))
	case dnssec.ECDSAP256:
		sum := sha256.Sum256(data)
		r, v, e := ecdsa.Sign(rand.Reader, s.private.(*ecdsa.PrivateKey), sum[:])
		out, err = append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...), e
	default:
		sum := sha256.Sum256(data)
		out, err = s.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// signedSet is a Set of records with a signature of each signer.
func signedSet(t testing.TB, rrs []dns.RR, signers ...*signer) *dnssec.Set {
	t.Helper()
	all := slices.Clone(rrs)
	for _, s := range signers {
		all = append(all, s.sign(t, rrs, nil))
	}
	return set(t, all...)
}

// keySet is the DNSKEY set of some signers, signed by the first of them.
func keySet(t testing.TB, signers ...*signer) *dnssec.Set {
	t.Helper()
	var rrs []dns.RR
	for _, s := range signers {
		rrs = append(rrs, s.key)
	}
	return signedSet(t, rrs, signers[0])
}

// zoneOf is the trusted zone of some signers.
func zoneOf(t testing.TB, signers ...*signer) *dnssec.Zone {
	t.Helper()
	zone := name(signers[0].key.Hdr.Name)
	z, v := dnssec.TrustKeys(zone, [][]byte{rdata(t, signers[0].key)}, keySet(t, signers...), noon, dnssec.NewWork())
	if v.Status != dnssec.Secure {
		t.Fatalf("the test's zone is %v", v)
	}
	return z
}

// dsOf is the RDATA of a DS record for a key.
func dsOf(t testing.TB, s *signer, digest uint8) []byte {
	t.Helper()
	ds := s.key.ToDS(digest)
	if ds == nil {
		t.Fatalf("the library makes no DS record with digest %d", digest)
	}
	return rdata(t, ds)
}

// want fails unless a verdict has this status and code.
func want(t testing.TB, got dnssec.Verdict, status dnssec.Status, code uint16) {
	t.Helper()
	if got.Status != status || got.Code != code {
		t.Errorf("got %v, want %v (%d)", got, status, code)
	}
	if got.Status != dnssec.Secure && got.Text == "" {
		t.Error("the verdict has no reason")
	}
}

func nameOf(b []byte) dnsname.Name { return dnsname.Name(b) }

func sum384(b []byte) []byte {
	sum := sha512.Sum384(b)
	return sum[:]
}
