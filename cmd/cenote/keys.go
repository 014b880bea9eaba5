package main

import (
	"fmt"

	"cenote/config"
	"cenote/tsig"
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
