package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Default is the embedded configuration, with which the server runs without a file. Its feed is Starter, which the caller puts at
// the path of the feed.
func Default() (*Config, error) {
	c, r := read("default.yaml", defaultYAML())
	if len(r.faults) == 0 {
		c.inherit()
		c.check(r)
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	if err := c.settle(); err != nil {
		return nil, err
	}
	c.resolvePaths(string(c.State))
	return c, nil
}

// inherit gives zones the sinkhole addresses that they do not have themselves.
func (c *Config) inherit() {
	c.EachZone(func(_ string, z *Zone) {
		if z.Sinkhole.IPv4 == nil {
			z.Sinkhole.IPv4 = c.Policy.Sinkhole.IPv4
		}
		if z.Sinkhole.IPv6 == nil {
			z.Sinkhole.IPv6 = c.Policy.Sinkhole.IPv6
		}
	})
	c.inheritOwn()
}

// inheritOwn does the same for zones that are made of the policy.
func (c *Config) inheritOwn() {
	for i := range c.Zones {
		z := &c.Zones[i].Policy
		if z.Sinkhole.IPv4 == nil {
			z.Sinkhole.IPv4 = c.Policy.Sinkhole.IPv4
		}
		if z.Sinkhole.IPv6 == nil {
			z.Sinkhole.IPv6 = c.Policy.Sinkhole.IPv6
		}
	}
}

// EachZone calls visit for the policy zones of everybody and of all views, with their keys.
func (c *Config) EachZone(visit func(key string, z *Zone)) {
	for i := range c.Policy.Zones {
		visit(fmt.Sprintf("policy.zones[%d]", i), &c.Policy.Zones[i])
	}
	for i := range c.Policy.Views {
		for j := range c.Policy.Views[i].Zones {
			visit(fmt.Sprintf("policy.views[%d].zones[%d]", i, j), &c.Policy.Views[i].Zones[j])
		}
	}
}

// resolvePaths takes relative paths from dir.
func (c *Config) resolvePaths(dir string) {
	eachPath(reflect.ValueOf(c).Elem(), func(p *Path) {
		if *p != "" && !filepath.IsAbs(string(*p)) {
			*p = Path(filepath.Join(dir, string(*p)))
		} else if *p != "" {
			*p = Path(filepath.Clean(string(*p)))
		}
	})
}

func eachPath(v reflect.Value, visit func(*Path)) {
	if p, ok := v.Addr().Interface().(*Path); ok {
		visit(p)
		return
	}
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			eachPath(v.Index(i), visit)
		}
	case isMapping(v.Type()):
		for i := range v.NumField() {
			eachPath(v.Field(i), visit)
		}
	}
}

// settle fills in what depends on the host.
func (c *Config) settle() error {
	if c.State == "" {
		dir, err := stateDir(os.Getenv, os.Geteuid() == 0)
		if err != nil {
			return err
		}
		c.State = dir
	}
	if c.API.Socket == "" {
		c.API.Socket = Path(filepath.Join(string(c.State), "cenote.sock"))
	}
	if c.QueryLog.Path == "" {
		c.QueryLog.Path = Path(filepath.Join(string(c.State), "querylog", "queries.jsonl"))
	}
	return nil
}

// stateDir is where the server keeps its state without being told.
func stateDir(env func(string) string, root bool) (Path, error) {
	first, _, _ := strings.Cut(env("STATE_DIRECTORY"), ":")
	switch {
	case filepath.IsAbs(first):
		return Path(first), nil
	case root:
		return "/var/lib/cenote", nil
	case filepath.IsAbs(env("XDG_STATE_HOME")):
		return Path(filepath.Join(env("XDG_STATE_HOME"), "cenote")), nil
	case filepath.IsAbs(env("HOME")):
		return Path(filepath.Join(env("HOME"), ".local", "state", "cenote")), nil
	}
	return "", errors.New("no place for the state: set the key state, or $XDG_STATE_HOME")
}

// checkFiles looks at the files that the configuration names. A feed that is missing may still come, so that is a warning; without its secrets or its
// suffix list the server does not work as it is told to.
func (c *Config) checkFiles(r *reader) {
	c.checkFetchFiles(r)
	for i, f := range c.Feeds {
		if _, err := os.Stat(string(f.Path)); f.Path != "" && err != nil {
			r.warn(r.at(fmt.Sprintf("feeds[%d].path", i)), fmt.Sprintf("the feed %s cannot be read now: %v", quoted(f.Name), err), "it is loaded as soon as it is there")
		}
	}
	_, secretErr := c.Cookies.Read()
	_, tokenErr := c.API.Token()
	secrets := []secretFile{
		{"cookies.secret_file", c.Cookies.SecretFile, secretErr, "make one with: openssl rand -hex 16"},
		{"api.token_file", c.API.TokenFile, tokenErr, "make one with: openssl rand -hex 32"},
	}
	for i, k := range c.Keys {
		key := fmt.Sprintf("keys[%d].secret_file", i)
		_, err := k.Secret()
		if err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		secrets = append(secrets, secretFile{key, k.SecretFile, err, "make one with: openssl rand -base64 32"})
	}
	for _, s := range secrets {
		s.check(r)
	}
	for i, l := range c.Listen {
		l.TLS.checkFiles(r, fmt.Sprintf("listen[%d].tls", i))
	}
	c.checkAuthorities(r)
	if c.Recursion.Enabled {
		checkOpens(r, "recursion.root_hints", c.Recursion.RootHints, "remove the key to use the servers of the internet's root")
	}
	if c.Recursion.Enabled && c.Recursion.Validation.Enabled {
		checkOpens(r, "recursion.validation.trust_anchors", c.Recursion.Validation.Anchors, "remove the key to use the keys of the internet's root")
	}
	checkOpens(r, "compile.suffix_list", c.Compile.SuffixList, "remove the key to use the list that is built in")
	for i, list := range c.Policy.Protect.Lists {
		checkOpens(r, fmt.Sprintf("policy.protect.lists[%d]", i), list, "without the list nothing is protected by it: correct the path, or remove it")
	}
	for i, list := range c.Policy.Protect.Popular.Lists {
		checkOpens(r, fmt.Sprintf("policy.protect.popular.lists[%d]", i), list, "without the list no name is known to be popular: correct the path, or remove it")
	}
}

// checkFiles wants the certificate and the key to be there, and to belong together.
func (t ListenTLS) checkFiles(r *reader, key string) {
	if t.Cert == "" || t.Key == "" {
		return
	}
	if _, err := tls.LoadX509KeyPair(string(t.Cert), string(t.Key)); err != nil {
		r.fault(r.at(key), fmt.Sprintf("%s: %v", key, err), "cert and key are files as PEM that belong together; openssl req -x509 makes a pair for tests")
	}
}

// secretFile is a file with a secret that the configuration names.
type secretFile struct {
	key  string
	path Path
	err  error // why it holds none
	hint string
}

// check wants the secret to be there, and to be one.
func (s secretFile) check(r *reader) {
	if s.path == "" {
		return
	}
	if s.err != nil {
		r.fault(r.at(s.key), s.err.Error(), s.hint)
	}
	info, err := os.Stat(string(s.path))
	if err == nil && info.Mode().Perm()&0o004 != 0 {
		r.warn(r.at(s.key), fmt.Sprintf("%s can be read by everybody on this host", s.path), "chmod o-r "+string(s.path))
	}
}

// checkOpens wants a file to be there that the configuration names, if it does.
func checkOpens(r *reader, key string, path Path, hint string) {
	if path == "" {
		return
	}
	f, err := os.Open(string(path))
	if err != nil {
		r.fault(r.at(key), fmt.Sprintf("%s: %v", key, err), hint)
		return
	}
	_ = f.Close()
}
