package tsig_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
	"cenote/wire"
)

// vector is a line of testdata/vectors.txt, which testdata/vectors.py has written with dnspython.
type vector struct {
	what       string
	key        tsig.Key
	now        time.Time
	requestMAC []byte
	messages   [][]byte
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		if s == "-" {
			return nil
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var out []vector
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		algorithm, err := tsig.ParseAlgorithm(f[2])
		if err != nil {
			t.Fatal(err)
		}
		seconds, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		v := vector{what: f[0], key: tsig.Key{Name: dnsname.MustParse("key.example"), Algorithm: algorithm, Secret: unhex(f[1])}, now: time.Unix(seconds, 0), requestMAC: unhex(f[4])}
		for _, m := range f[5:] {
			v.messages = append(v.messages, unhex(m))
		}
		out = append(out, v)
	}
	return out
}

func keysOf(t testing.TB, keys ...tsig.Key) *tsig.Keys {
	t.Helper()
	ks, err := tsig.NewKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

// TestVectorsOfAnotherImplementation: what dnspython has signed is right here, and with one bit changed anywhere it is not.
func TestVectorsOfAnotherImplementation(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.what+"/"+v.key.Algorithm.String(), func(t *testing.T) {
			if v.what == "stream" {
				playStream(t, v)
				return
			}
			ks := keysOf(t, v.key)
			s, fault := ks.Verify(v.messages[0], v.now, v.requestMAC)
			if fault != tsig.FaultNone || s.Key == nil || s.Key.Name != v.key.Name || !s.Time.Equal(v.now) || s.Fudge != tsig.Fudge {
				t.Fatalf("%v: %+v", fault, s)
			}
			for i := range v.messages[0] {
				for _, bit := range []byte{1, 0x20, 0x80} {
					msg := bytes.Clone(v.messages[0])
					msg[i] ^= bit
					if _, fault := ks.Verify(msg, v.now, v.requestMAC); fault == tsig.FaultNone && !harmless(msg, s, i, bit) {
						t.Errorf("octet %d of %d changed by %#x, and it is still signed", i, len(msg), bit)
					}
				}
			}
			if v.requestMAC != nil {
				if _, fault := ks.Verify(v.messages[0], v.now, v.requestMAC[1:]); fault != tsig.FaultSignature {
					t.Errorf("with the MAC of another request: %v", fault)
				}
			}
		})
	}
}

// harmless reports whether nothing that is signed has changed: the id, of which the record has another copy, or the letter case of the two names in the record.
func harmless(msg []byte, s tsig.Signature, at int, bit byte) bool {
	letter := msg[at]|0x20 >= 'a' && msg[at]|0x20 <= 'z'
	return at < 2 || bit == 0x20 && letter && at >= s.Len && at < len(msg)-6-len(s.MAC)-10
}

// playStream has a transfer verified, and then with one message missing, twice there, or changed.
func playStream(t *testing.T, v vector) {
	all := func(messages ...[]byte) (tsig.Fault, int) {
		sv := tsig.NewStreamVerifier(&v.key, v.requestMAC)
		for i, m := range messages {
			if _, fault := sv.Next(m, v.now); fault != tsig.FaultNone {
				if _, again := sv.Next(m, v.now); again != fault || sv.Settled() {
					t.Errorf("after %v it says %v, settled %v", fault, again, sv.Settled())
				}
				return fault, i
			}
		}
		return sv.Done(), len(messages)
	}
	m := v.messages
	if fault, at := all(m...); fault != tsig.FaultNone {
		t.Fatalf("message %d: %v", at, fault)
	}
	changed := bytes.Clone(m[2])
	changed[len(changed)-1] ^= 1
	for what, c := range map[string]struct {
		messages [][]byte
		fault    tsig.Fault
		at       int
	}{
		"none":               {nil, tsig.FaultAbsent, 0},
		"cut behind one":     {m[:3], tsig.FaultUnsigned, 3},
		"one missing":        {[][]byte{m[0], m[1], m[3], m[4]}, tsig.FaultSignature, 3},
		"one twice":          {[][]byte{m[0], m[0]}, tsig.FaultSignature, 1},
		"two exchanged":      {[][]byte{m[0], m[1], m[3], m[2], m[4]}, tsig.FaultSignature, 4},
		"one changed":        {[][]byte{m[0], m[1], changed, m[3], m[4]}, tsig.FaultSignature, 4},
		"the first has none": {m[2:], tsig.FaultAbsent, 0},
	} {
		if fault, at := all(c.messages...); fault != c.fault || at != c.at {
			t.Errorf("%s: message %d: %v, want message %d: %v", what, at, fault, c.at, c.fault)
		}
	}
}

// question is a query for corp.example with an OPT record.
func question() []byte {
	msg := make([]byte, wire.HeaderLen, 512)
	wire.SetID(msg, 4711)
	wire.SetCount(msg, 0, 1)
	msg = append(msg, dnsname.MustParse("corp.example")...)
	msg = append(msg, 0, wire.TypeAXFR, 0, wire.ClassIN)
	wire.SetCount(msg, 3, 1)
	return wire.AppendOPT(msg, wire.UDPSafe, 0, false, nil)
}

func testKey(algorithm tsig.Algorithm) tsig.Key {
	return tsig.Key{Name: dnsname.MustParse("key.example"), Algorithm: algorithm, Secret: []byte("0123456789abcdef0123456789abcdef")}
}

var day = time.Date(2026, 3, 14, 15, 9, 26, 535, time.UTC)

// TestSignAndVerify: what is signed here is right here, with all algorithms, and a record takes no more than Room.
func TestSignAndVerify(t *testing.T) {
	for _, algorithm := range []tsig.Algorithm{tsig.HMACSHA256, tsig.HMACSHA384, tsig.HMACSHA512} {
		key := testKey(algorithm)
		ks := keysOf(t, key)
		request, mac := tsig.Sign(question(), &key, day, nil)
		s, fault := ks.Verify(request, day, nil)
		if fault != tsig.FaultNone || !bytes.Equal(s.MAC, mac) || s.Len != len(question()) || len(request)-s.Len > key.Room() {
			t.Fatalf("%v: %v, %+v", algorithm, fault, s)
		}
		if wire.Count(request, 3) != 2 {
			t.Errorf("the header counts %d additional records", wire.Count(request, 3))
		}
		reply := tsig.SignReply(question(), &s, fault, day)
		if _, fault := key.Verify(reply, day, mac); fault != tsig.FaultNone {
			t.Errorf("%v: the reply: %v", algorithm, fault)
		}
		if _, fault := key.Verify(reply, day, nil); fault != tsig.FaultSignature {
			t.Errorf("%v: the reply as a request: %v", algorithm, fault)
		}
	}
}

// TestFaultyRequests: each fault has its code and its reply (RFC 8945 section 5.2).
func TestFaultyRequests(t *testing.T) {
	key, other := testKey(tsig.HMACSHA256), testKey(tsig.HMACSHA256)
	other.Name = dnsname.MustParse("other.example")
	wrong, algorithm := key, key
	wrong.Secret = []byte("another secret, and a long one")
	algorithm.Algorithm = tsig.HMACSHA512
	ks := keysOf(t, key)
	signed := func(k tsig.Key, at time.Time) []byte { msg, _ := tsig.Sign(question(), &k, at, nil); return msg }
	last := func(msg []byte) []byte { // a record behind the signature
		wire.SetCount(msg, 3, 3)
		return wire.AppendRecord(msg, []byte{0}, wire.TypeTXT, wire.ClassIN, 0, []byte{0})
	}
	edit := func(msg []byte, fromEnd int, b byte) []byte { msg[len(msg)-fromEnd] = b; return msg }
	for what, c := range map[string]struct {
		msg  []byte
		want tsig.Fault
	}{
		"none":                   {question(), tsig.FaultAbsent},
		"empty":                  {nil, tsig.FaultFormat},
		"another key":            {signed(other, day), tsig.FaultKey},
		"another algorithm":      {signed(algorithm, day), tsig.FaultKey},
		"another secret":         {signed(wrong, day), tsig.FaultSignature},
		"at the end of the time": {signed(key, day.Add(-tsig.Fudge)), tsig.FaultNone},
		"too old":                {signed(key, day.Add(-tsig.Fudge-time.Second)), tsig.FaultTime},
		"too new":                {signed(key, day.Add(tsig.Fudge+time.Second)), tsig.FaultTime},
		"too old and wrong":      {signed(wrong, day.Add(-time.Hour)), tsig.FaultSignature},
		"not the last":           {last(signed(key, day)), tsig.FaultFormat},
		"octets behind it":       {append(signed(key, day), 0), tsig.FaultFormat},
		"cut":                    {signed(key, day)[:100], tsig.FaultFormat},
		"other data too short":   {edit(signed(key, day), 1, 1), tsig.FaultFormat},
		"16 octets":              {truncated(t, signed(key, day), 16), tsig.FaultNone},
		"15 octets":              {truncated(t, signed(key, day), 15), tsig.FaultTruncation},
		"no octets":              {truncated(t, signed(key, day), 0), tsig.FaultSignature},
		"33 octets":              {truncated(t, signed(key, day), 33), tsig.FaultFormat},
	} {
		s, fault := ks.Verify(c.msg, day, nil)
		if fault != c.want {
			t.Errorf("%s: %v, want %v", what, fault, c.want)
			continue
		}
		reply := question()
		rcode, code := fault.Rcode()
		wire.SetRcode(reply, rcode)
		reply = tsig.SignReply(reply, &s, fault, day)
		got, verdict := key.Verify(reply, day, s.MAC)
		switch fault {
		case tsig.FaultNone:
			if verdict != tsig.FaultNone {
				t.Errorf("%s: its reply: %v", what, verdict)
			}
		case tsig.FaultKey, tsig.FaultSignature:
			if got.Code != code || len(got.MAC) != 0 || rcode != wire.RcodeNotAuth || !got.Time.Equal(s.Time) {
				t.Errorf("%s: its reply: rcode %d, %+v", what, rcode, got)
			}
		case tsig.FaultTime:
			at, ok := got.ServerTime()
			if skew, _ := got.Skew(); rcode != wire.RcodeNotAuth || got.Code != tsig.CodeTime || !got.Time.Equal(s.Time) || !ok || at.Unix() != day.Unix() || skew != at.Sub(s.Time) {
				t.Errorf("%s: its reply: rcode %d, %+v", what, rcode, got)
			}
			if _, verdict := key.Verify(reply, s.Time, s.MAC); verdict != tsig.FaultNone { // by the clock of the client it is right
				t.Errorf("%s: its reply: %v", what, verdict)
			}
		default:
			if verdict != tsig.FaultAbsent {
				t.Errorf("%s: its reply: %v", what, verdict)
			}
		}
		if text := tsig.CodeText(code); (code != 0) != (text != "") {
			t.Errorf("%s: code %d is called %q", what, code, text)
		}
	}
}

// truncated gives the MAC of a signed message another length.
func truncated(t *testing.T, msg []byte, n int) []byte {
	t.Helper()
	key := testKey(tsig.HMACSHA256)
	s, fault := key.Verify(msg, day, nil)
	if fault != tsig.FaultNone {
		t.Fatal(fault)
	}
	data := s.Len + len(s.Name) + 10
	mac := data + len(key.Algorithm.Name()) + 10
	out := append([]byte(nil), msg[:mac]...)
	out = append(out, append(bytes.Clone(s.MAC), 0)[:n]...)
	out = append(out, msg[mac+len(s.MAC):]...)
	binary.BigEndian.PutUint16(out[mac-2:], uint16(n))
	binary.BigEndian.PutUint16(out[data-2:], uint16(len(out)-data))
	return out
}

// TestStreams: what StreamSigner signs StreamVerifier takes, with up to 99 messages without a signature in a row.
func TestStreams(t *testing.T) {
	key := testKey(tsig.HMACSHA384)
	_, mac := tsig.Sign(question(), &key, day, nil)
	signer, verifier := tsig.NewStreamSigner(&key, mac), tsig.NewStreamVerifier(&key, mac)
	for i := range 5 {
		at := day.Add(time.Duration(i) * time.Minute)
		if s, fault := verifier.Next(signer.Sign(question(), at), at); fault != tsig.FaultNone || s.Len != len(question()) || !verifier.Settled() {
			t.Fatalf("message %d: %v, %d octets", i, fault, s.Len)
		}
	}
	for i := range tsig.UnsignedMax {
		if s, fault := verifier.Next(question(), day); fault != tsig.FaultNone || s.Len != len(question()) || verifier.Settled() {
			t.Fatalf("message %d without a signature: %v", i, fault)
		}
	}
	if _, fault := verifier.Next(question(), day); fault != tsig.FaultUnsigned {
		t.Errorf("one more: %v", fault)
	}
	late := tsig.NewStreamVerifier(&key, mac)
	signer = tsig.NewStreamSigner(&key, mac)
	late.Next(signer.Sign(question(), day), day)
	if _, fault := late.Next(signer.Sign(question(), day), day.Add(time.Hour)); fault != tsig.FaultTime {
		t.Errorf("a message from an hour ago: %v", fault)
	}
	foreign := testKey(tsig.HMACSHA384)
	foreign.Name = dnsname.MustParse("other.example")
	mixed := tsig.NewStreamVerifier(&key, mac)
	mixed.Next(tsig.NewStreamSigner(&key, mac).Sign(question(), day), day)
	if _, fault := mixed.Next(tsig.NewStreamSigner(&foreign, mac).Sign(question(), day), day); fault != tsig.FaultKey {
		t.Errorf("a message of another key: %v", fault)
	}
}

// TestKeys: keys with faults are refused, and found in any letter case.
func TestKeys(t *testing.T) {
	good := testKey(tsig.HMACSHA256)
	short, none, nameless := good, good, good
	short.Secret, none.Algorithm, nameless.Name = good.Secret[:tsig.SecretMin-1], 0, ""
	for want, keys := range map[string][]tsig.Key{"15 octets": {short}, "hmac-sha256": {none}, "no name": {nameless}, "twice": {good, good}} {
		if _, err := tsig.NewKeys(keys...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if k := keysOf(t, good).Find(dnsname.MustParse("KEY.example")); k == nil || k.Name != good.Name {
		t.Errorf("found %v", k)
	}
	if k := (*tsig.Keys)(nil).Find(good.Name); k != nil {
		t.Errorf("no keys, and one was found: %v", k)
	}
	if _, err := tsig.ParseAlgorithm("hmac-md5"); err == nil {
		t.Error("hmac-md5 is known")
	}
}

// TestNoSecretIsPrinted: however a key is printed, logged or encoded, its secret stays out.
func TestNoSecretIsPrinted(t *testing.T) {
	key := testKey(tsig.HMACSHA256)
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("key", "key", key, "pointer", &key, "in", struct{ K *tsig.Key }{&key})
	}
	encoded, err := json.Marshal(map[string]any{"k": key, "p": &key})
	if err != nil {
		t.Fatal(err)
	}
	text := log.String() + string(encoded) + fmt.Sprintf("%v %+v %s %#v %q %v %+v %#v", key, key, key, key, key, &key, struct{ K tsig.Key }{key}, []tsig.Key{key})
	for _, secret := range []string{string(key.Secret), hex.EncodeToString(key.Secret), fmt.Sprint(key.Secret), "MDEyMzQ1Njc4", "0x30, 0x31"} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret was printed: %s", text)
		}
	}
}
