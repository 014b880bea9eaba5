package querylog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/querylog"

	"github.com/klauspost/compress/zstd"
)

// TestWhatIsWrittenIsRead: the reader gets out of a line what the writer put into it.
func TestWhatIsWrittenIsRead(t *testing.T) {
	e := querylog.NewEncoder(blackbook())
	plain, hostile, rule, refused := query("WWW.Example"), query(`a\010b\"c.example`), matched("x.evil.example", 2), query("www.example")
	plain.Flags, refused.Source = 0x0100, querylog.SourceNone
	var text []byte
	for _, r := range []*querylog.Record{&plain, &hostile, &rule, &refused} {
		text = e.AppendLine(text, r)
	}
	r := querylog.NewReader(bytes.NewReader(text))
	for i, want := range []struct {
		record             *querylog.Record
		name, action, feed string
		asked              bool
	}{
		{&plain, "www.example", "", "", true},
		{&hostile, `a\010b\"c.example`, "", "", true},
		{&rule, "x.evil.example", policy.Action(rule.Action).String(), "blackbook", true},
		{&refused, "www.example", "", "", false},
	} {
		var l querylog.Line
		if err := r.Next(&l); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if got := dnsname.Name(l.Name); got != dnsname.MustParse(want.name) {
			t.Errorf("line %d: name %s, want %s", i+1, got, want.name)
		}
		if l.Time/1000 != want.record.Time/1000 || l.Client != netip.AddrFrom16(want.record.Client).Unmap() || l.RD != (want.record.Flags&0x0100 != 0) {
			t.Errorf("line %d: %+v, want the time, client and flags of %+v", i+1, l, want.record)
		}
		if l.Action != want.action || l.Feed != want.feed || l.Enforced != want.record.Enforced || l.Asked != want.asked {
			t.Errorf("line %d: %+v, want %+v", i+1, l, want)
		}
	}
	if err := r.Next(new(querylog.Line)); err != io.EOF || r.Lines() != 4 {
		t.Errorf("after the last line: %v, %d lines", err, r.Lines())
	}
}

func TestLinesOfOtherForms(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want string // the error, or of the line: time name action lost
	}{
		"blanks":           {` { "client" : "192.0.2.1" , "time" : "2026-01-02T15:04:05Z" , "name" : "A.example" } `, "2026-01-02T15:04:05Z a.example"},
		"another zone":     {`{"time":"2026-01-02T16:04:05.5+01:00","client":"192.0.2.1","name":""}`, "2026-01-02T15:04:05.5Z ."},
		"an event":         {`{"time":"2026-01-02T15:04:05.000000Z","event":"dropped","records":1200}`, "2026-01-02T15:04:05Z . dropped 1200"},
		"escapes of JSON":  {`{"time":"2026-01-02T15:04:05.000000Z","client":"::ffff:192.0.2.1","name":"\u0061\\046b.example","feed":"x\"y\\"}`, `2026-01-02T15:04:05Z a\046b.example  x"y\`},
		"no object":        {`192.0.2.1 a.example`, "flat object"},
		"nothing":          {``, "flat object"},
		"cut off":          {`{"time":"2026-01-02T15:04:05.000000Z","client":"192.0.2.1","name":"a.exa`, "flat object"},
		"more behind":      {`{"time":"2026-01-02T15:04:05.000000Z","client":"192.0.2.1"} x`, "flat object"},
		"a list":           {`{"time":"2026-01-02T15:04:05.000000Z","client":"192.0.2.1","more":[1]}`, "flat object"},
		"no time":          {`{"client":"192.0.2.1","name":"a.example"}`, "no time"},
		"no client":        {`{"time":"2026-01-02T15:04:05.000000Z","name":"a.example"}`, "no client"},
		"no name":          {`{"time":"2026-01-02T15:04:05.000000Z","client":"192.0.2.1","qname":"a.example"}`, "no name"},
		"a day that isn't": {`{"time":"2026-13-02T15:04:05.000000Z","client":"192.0.2.1"}`, "time: "},
		"a name too long":  {`{"time":"2026-01-02T15:04:05.000000Z","client":"192.0.2.1","name":"` + strings.Repeat("a.", 200) + `example"}`, "longer than 255"},
		"a line too long":  {`{"time":"2026-01-02T15:04:05.000000Z","client":"192.0.2.1","more":"` + strings.Repeat("a", 100_000) + `"}`, "longer than 65536"},
	} {
		var l querylog.Line
		r := querylog.NewReader(strings.NewReader(tc.line + "\n" + `{"time":"2026-01-02T15:04:05.000000Z","client":"192.0.2.9","name":""}`))
		got := ""
		if err := r.Next(&l); err != nil {
			got = err.Error()
		} else {
			got = time.Unix(0, l.Time).UTC().Format(time.RFC3339Nano) + " " + dnsname.Name(l.Name).String() + " " + l.Event + " " + l.Feed
			if l.Lost > 0 {
				got += fmt.Sprint(l.Lost)
			}
		}
		if !strings.Contains(strings.TrimSpace(got), tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
		if err := r.Next(&l); err != nil || l.Client.String() != "192.0.2.9" {
			t.Errorf("%s: the next line is %+v, %v", name, l, err)
		}
	}
}

func TestPackedLogsAreRead(t *testing.T) {
	const text = "one\ntwo\n"
	var zipped, packed bytes.Buffer
	gz := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(gz, text)
	_ = gz.Close()
	zw, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(zw, text)
	_ = zw.Close()
	for name, content := range map[string]string{"plain": text, "gzip": zipped.String(), "zstd": packed.String(), "empty": ""} {
		r, err := querylog.Unpack(strings.NewReader(content))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != text && name != "empty" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		_ = r.Close()
		if len(content) > 8 {
			r, err := querylog.Unpack(strings.NewReader(content[:len(content)-4]))
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if err == nil {
				t.Errorf("%s: cut off, and no error", name)
			}
		}
	}
}

// FuzzReadLine: whatever the line is, what is read is what encoding/json finds in it.
func FuzzReadLine(f *testing.F) {
	e := querylog.NewEncoder(blackbook())
	r := matched("x.evil.example", 2)
	f.Add(e.AppendLine(nil, &r))
	f.Fuzz(func(t *testing.T, line []byte) {
		var l querylog.Line
		err := querylog.NewReader(bytes.NewReader(line)).Next(&l)
		if err != nil {
			if bad := (*querylog.LineError)(nil); !errors.As(err, &bad) && err != io.EOF {
				t.Fatalf("%q: %v", line, err)
			}
			return
		}
		first, _, _ := bytes.Cut(line, []byte("\n"))
		var fields map[string]any
		if json.Unmarshal(first, &fields) != nil {
			return // more is read than JSON allows, of a log that nobody writes
		}
		if _, _, err := dnsname.Check(append(l.Name, 0)); len(l.Name) > 0 && err != nil {
			t.Errorf("%q: the name is %q", line, l.Name)
		}
		if feed, is := fields["feed"].(string); is && strings.Count(string(first), `"feed"`) == 1 && feed != l.Feed {
			t.Errorf("%q: the feed is %q, want %q", line, l.Feed, feed)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	e := querylog.NewEncoder(blackbook())
	r := query("www.some.example")
	line := e.AppendLine(nil, &r)
	text := bytes.Repeat(line, 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	in := querylog.NewReader(nil)
	for i := range b.N {
		if i%1000 == 0 {
			in = querylog.NewReader(bytes.NewReader(text))
		}
		var l querylog.Line
		if err := in.Next(&l); err != nil {
			b.Fatal(err)
		}
	}
}
