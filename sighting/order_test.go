package sighting_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"cenote/sighting"
)

// TestOrderIsThatOfComparing: the order by digits is the one that comparing hour, client and term gives, for few and for many of each.
func TestOrderIsThatOfComparing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, size := range []struct{ pairs, clients, terms, hours int }{
		{0, 1, 1, 1}, {1, 1, 1, 1}, {1000, 1, 1, 1}, {5000, 3, 2000, 1}, {20_000, 15_000, 5, 30}, {20_000, 4000, 70_000, 72},
	} {
		clients, terms, hours := make([][16]byte, size.pairs), make([]uint32, size.pairs), make([]uint32, size.pairs)
		known := make([][16]byte, size.clients)
		for i := range known {
			for j := range known[i] {
				known[i][j] = byte(r.Uint32())
			}
		}
		for i := range clients {
			clients[i], terms[i], hours[i] = known[r.IntN(size.clients)], r.Uint32N(uint32(size.terms)), 480_000+r.Uint32N(uint32(size.hours))
		}
		if got, want := sighting.OrderOf(clients, terms, hours); !slices.Equal(got, want) {
			t.Errorf("%+v: the orders differ", size)
		}
	}
}

// TestClientsAreSpread: neighbouring IPv4 addresses, of which every network has many, do not crowd each other.
func TestClientsAreSpread(t *testing.T) {
	const n = 30_000
	if got := sighting.ProbesOfClients(n); got > 4*n {
		t.Errorf("%d clients take %d probes, want about one each", n, got)
	}
}
