package zone_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"cenote/zone"
)

// TestPrimaryWithoutTLSCostsThreeSeconds: a primary that takes a connection and says nothing of TLS is given up after the time for that, or with who asked for it, and the connection ends.
func TestPrimaryWithoutTLSCostsThreeSeconds(t *testing.T) {
	for _, c := range []struct {
		name           string
		patience       time.Duration // of who asks
		speaks         []byte        // what the primary says
		least, most    time.Duration
		deadlinePassed bool
	}{
		{"silence", time.Hour, nil, zone.TLSTimeout, zone.TLSTimeout, true},
		{"the beginning of a record, and then silence", time.Hour, []byte{22, 3, 3, 0, 99, 2}, zone.TLSTimeout, zone.TLSTimeout, true},
		{"who asks gives up first", time.Second, nil, time.Second, time.Second, true},
		{"what is no TLS", time.Hour, []byte("HTTP/1.1 400 Bad Request\r\n"), 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, primary := net.Pipe()
				defer primary.Close()
				ended := make(chan error, 1)
				go func() {
					if c.speaks != nil {
						buf := make([]byte, 4096)
						_, _ = primary.Read(buf)
						_, _ = primary.Write(c.speaks)
					}
					_, err := io.Copy(io.Discard, primary)
					ended <- err
				}()
				ctx, cancel := context.WithTimeout(t.Context(), c.patience)
				defer cancel()
				begun := time.Now()
				conn, err := zone.Agree(ctx, client, &tls.Config{ServerName: "primary.example", NextProtos: []string{"dot"}})
				if took := time.Since(begun); conn != nil || took < c.least || took > c.most {
					t.Errorf("%v after %v, want none after %v", conn, took, c.most)
				}
				if errors.Is(err, context.DeadlineExceeded) != c.deadlinePassed {
					t.Errorf("got %v; want that the time was over: %v", err, c.deadlinePassed)
				}
				<-ended // or the bubble is stuck: the connection was left open
			})
		})
	}
}
