package config

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"syscall"
)

// authoritiesMax is how much of a file with certificates is read, in octets.
const authoritiesMax = 4 << 20

// Authorities reads the certificates of a file that may vouch for servers, as PEM. Without a path it is nil, which stands for those that the host trusts.
func Authorities(path Path) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(string(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, authoritiesMax+1))
	if err != nil {
		return nil, err
	}
	if len(text) > authoritiesMax {
		return nil, fmt.Errorf("%s has more than %d octets", path, authoritiesMax)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate as PEM", path)
	}
	return roots, nil
}

// checkAuthorities wants the files with certificates that servers are asked with to be there, and to hold some: without them nothing is asked.
func (c *Config) checkAuthorities(r *reader) {
	read := map[Path]error{} // many zones have the same primaries
	check := func(key string, path Path) {
		err, known := read[path]
		if !known {
			_, err = Authorities(path)
			read[path] = err
		}
		if err != nil {
			r.fault(r.at(key), fmt.Sprintf("%s: %v", key, err), "name the file with the certificate of whoever signed that of the server, or its own; without the key those count that the host trusts")
		}
	}
	check("resolver.ca_file", c.Resolver.CAFile)
	primaries := func(key string, all []Primary) {
		for i, p := range all {
			check(fmt.Sprintf("%s.primaries[%d].ca_file", key, i), p.CAFile)
		}
	}
	for i := range c.Zones {
		primaries(fmt.Sprintf("zones[%d]", i), c.Zones[i].Primaries)
	}
	for i := range c.Feeds {
		primaries(fmt.Sprintf("feeds[%d]", i), c.Feeds[i].Primaries)
	}
}
