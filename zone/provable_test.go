package zone_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"
)

// TestDifferencesLeaveAChain holds that differences are refused that leave a signed zone with the parameters of a chain of NSEC3 which is not there: a zone
// that comes whole like that is refused, too.
func TestDifferencesLeaveAChain(t *testing.T) {
	apex := dnsname.MustParse("example")
	made := func(serial byte, parameters bool) *zone.Zone {
		soa := append([]byte{1, 'a', 0, 1, 'b', 0}, 0, 0, 0, serial, 0, 0, 14, 16, 0, 0, 14, 16, 0, 9, 0, 0, 0, 0, 0, 60)
		signature := append([]byte{0, 48, 13, 1, 0, 0, 14, 16, 127, 0, 0, 0, 1, 0, 0, 0, 0, 1}, append([]byte(apex), 1, 2, 3)...)
		records := []zone.Record{
			{Owner: apex, Type: wire.TypeSOA, TTL: 60, Data: soa},
			{Owner: apex, Type: wire.TypeNS, TTL: 60, Data: []byte(dnsname.MustParse("ns.far.test"))},
			{Owner: apex, Type: wire.TypeDNSKEY, TTL: 60, Data: []byte{1, 1, 3, 13, 1, 2, 3, 4}},
			{Owner: apex, Type: wire.TypeRRSIG, TTL: 60, Data: signature},
		}
		if parameters {
			records = append(records, zone.Record{Owner: apex, Type: 51, TTL: 60, Data: []byte{1, 0, 0, 0, 0}})
		}
		z, err := zone.Build(apex, slices.Values(records))
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	for _, parameters := range []bool{false, true} {
		from, to := made(1, false), made(2, parameters)
		var messages [][]byte
		question := append([]byte(apex), 0, wire.TypeIXFR, 0, wire.ClassIN)
		_ = zone.ServedSince(from, to).Since(1).Send(nil, 1, 0, question, 0, func(msg []byte) error {
			messages = append(messages, bytes.Clone(msg))
			return nil
		})
		next, err := zone.TakeTransfer(apex, from, now, messages...)
		if parameters && !errors.Is(err, zone.ErrFaulty) || !parameters && (err != nil || next.Serial() != 2) {
			t.Errorf("with parameters %v: %v", parameters, err)
		}
	}
}
