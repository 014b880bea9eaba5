package main

import (
	"crypto/tls"
	"fmt"

	"cenote/config"
	"cenote/tsig"
	"cenote/zone"
)

// signingKeys are the keys of a configuration, with their secrets from their files.
func signingKeys(c *config.Config) (*tsig.Keys, error) {
	keys := make([]tsig.Key, 0, len(c.Keys))
	for _, k := range c.Keys {
		algorithm, err := tsig.ParseAlgorithm(k.Algorithm.String())
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		secret, err := k.Secret()
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		keys = append(keys, tsig.Key{Name: k.Name, Algorithm: algorithm, Secret: secret})
	}
	return tsig.NewKeys(keys...)
}

// followedZones are the zones of a configuration that are taken from primaries.
func followedZones(c *config.Config, keys *tsig.Keys) ([]zone.Secondary, error) {
	var out []zone.Secondary
	for i := range c.Zones {
		z := &c.Zones[i]
		if len(z.Primaries) == 0 {
			continue
		}
		s := zone.Secondary{Name: z.Name, Bounds: zone.TransferBounds{Octets: int64(z.Transfer.Size), Records: z.Transfer.Records, Time: z.Transfer.Time}}
		var err error
		if s.Primaries, err = primariesOf(z.Primaries, keys); err != nil {
			return nil, fmt.Errorf("zone %s: %w", z.Name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// primaryTLS is how a primary is asked by TLS, and which keys are pinned.
func primaryTLS(p *config.Primary) (*tls.Config, []zone.Pin, error) {
	roots, err := config.Authorities(p.CAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("ca_file: %w", err)
	}
	out := &tls.Config{ServerName: p.TLS, RootCAs: roots, MinVersion: tls.VersionTLS13, NextProtos: []string{"dot"}}
	var pins []zone.Pin
	for _, text := range p.Pins {
		pin, err := zone.ParsePin(text)
		if err != nil {
			return nil, nil, err
		}
		pins = append(pins, pin)
	}
	return out, pins, nil
}
