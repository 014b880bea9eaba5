package resolver_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestSpan: it ends with the life, or after its time, and so do contexts that derive from it.
func TestSpan(t *testing.T) {
	life, end := context.WithCancel(context.Background())
	s, free := resolver.Span(life, time.Hour)
	defer free()
	inner, cancel := context.WithCancel(s)
	defer cancel()
	if s.Err() != nil || inner.Err() != nil {
		t.Errorf("it has ended at once: %v, %v", s.Err(), inner.Err())
	}
	end()
	<-s.Done()
	<-inner.Done()
	if !errors.Is(s.Err(), context.Canceled) {
		t.Errorf("after the life: %v", s.Err())
	}
	short, freeShort := resolver.Span(context.Background(), time.Millisecond)
	defer freeShort()
	<-short.Done()
	if !errors.Is(short.Err(), context.DeadlineExceeded) {
		t.Errorf("after its time: %v", short.Err())
	}
}

// TestQueryGoesOutHoweverLate: another leg of an exchange may begin when others are to be asked beside it.
func TestQueryGoesOutHoweverLate(t *testing.T) {
	server := wildcard(t, "127.0.0.1", func(netip.AddrPort) {})
	f := start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for range 2 { // from a new socket, and from one that was used before
		if packet, err := f.AskTooLate(ctx, keyOf("www.example", dns.TypeA), server); err != nil || len(packet) == 0 {
			t.Errorf("got %d octets, %v, want a reply", len(packet), err)
		}
	}
}
