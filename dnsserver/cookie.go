package dnsserver

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// CookieSecret is the key under which server cookies are made (RFC 9018 section 4.4).
type CookieSecret [16]byte

// Sizes and times of a server cookie (RFC 9018 section 4).
const (
	cookieClientLen  = 8
	cookieServerLen  = 16
	cookieLen        = cookieClientLen + cookieServerLen
	cookieVersion    = 1
	cookieAgeMax     = time.Hour
	cookieAheadMax   = 5 * time.Minute
	cookieRenewAfter = 30 * time.Minute
	rotateMin        = time.Hour // a secret must outlive the cookies made with it
)

// cookieState is what the query's cookie option says of its sender.
type cookieState uint8

const (
	cookieNone  cookieState = iota // no option: the client does not know cookies
	cookieNew                      // no server cookie, or none of ours: the client is told one (RFC 7873 section 5.2.3 and 5.2.4)
	cookieValid                    // ours: the client's address is not forged
)

// cookieJar makes and knows server cookies. Secrets that were given are used as they are; without any, one is derived for each
// period of Rotate from a master that lives as long as the process.
type cookieJar struct {
	master  [32]byte
	rotate  time.Duration
	given   []CookieSecret // the first makes cookies; empty: derive
	derived atomic.Pointer[cookieKeys]
}

// cookieKeys are the derived secrets of one period and of the one before it.
type cookieKeys struct {
	period int64
	keys   []CookieSecret
}

// newCookieJar makes the jar for c; nil if cookies are off. A jar made from given secrets goes on knowing the first one that the jar
// before made cookies with (RFC 9018 section 5); one without keeps the master.
func newCookieJar(c Cookies, before *cookieJar) (*cookieJar, error) {
	if !c.Enabled {
		return nil, nil
	}
	if c.Rotate == 0 {
		c.Rotate = 24 * time.Hour
	}
	if c.Rotate < rotateMin {
		return nil, fmt.Errorf("cookies: rotate %v: want at least %v", c.Rotate, rotateMin)
	}
	jar := &cookieJar{rotate: c.Rotate, given: slices.Clone(c.Secrets)}
	if before == nil {
		_, err := rand.Read(jar.master[:])
		return jar, err
	}
	jar.master = before.master
	if len(jar.given) > 0 && len(before.given) > 0 && !slices.Contains(jar.given, before.given[0]) {
		jar.given = append(jar.given, before.given[0])
	}
	return jar, nil
}

// secrets returns the secrets good at now, the one to make cookies with first.
func (j *cookieJar) secrets(now time.Time) []CookieSecret {
	if len(j.given) > 0 {
		return j.given
	}
	period := now.UnixNano() / int64(j.rotate)
	if k := j.derived.Load(); k != nil && k.period == period {
		return k.keys
	}
	k := &cookieKeys{period: period, keys: []CookieSecret{j.derive(period), j.derive(period - 1)}}
	j.derived.Store(k)
	return k.keys
}

func (j *cookieJar) derive(period int64) CookieSecret {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(j.master[:len(j.master):len(j.master)], uint64(period)))
	return CookieSecret(sum[:16])
}

// judge says what option, as the client at addr sent it, is worth.
func (j *cookieJar) judge(option []byte, addr netip.Addr, now time.Time) cookieState {
	switch {
	case len(option) < cookieClientLen:
		return cookieNone // no option, or a malformed one
	case len(option) != cookieLen || option[8] != cookieVersion || !fresh(option, now):
		return cookieNew
	}
	for i := range j.secrets(now) {
		want := cookieHash(&j.secrets(now)[i], option, addr)
		if subtle.ConstantTimeCompare(want[:], option[16:]) == 1 {
			return cookieValid
		}
	}
	return cookieNew
}

func fresh(option []byte, now time.Time) bool {
	age := cookieAge(option, now)
	return age <= cookieAgeMax && age >= -cookieAheadMax
}

// cookieAge is how long ago the cookie was made. The 32-bit time wraps (RFC 9018 section 4.3, serial number arithmetic of RFC 1982).
func cookieAge(option []byte, now time.Time) time.Duration {
	made := binary.BigEndian.Uint32(option[12:])
	return time.Duration(int32(uint32(now.Unix())-made)) * time.Second
}

// appendTo appends the data of a cookie option for the client that sent option: its own cookie, and ours. One of ours that is good and
// young comes back unchanged.
func (j *cookieJar) appendTo(dst, option []byte, state cookieState, addr netip.Addr, now time.Time) []byte {
	if state == cookieValid && cookieAge(option, now) < cookieRenewAfter {
		return append(dst, option...)
	}
	start := len(dst)
	dst = append(dst, option[:cookieClientLen]...)
	dst = append(dst, cookieVersion, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(now.Unix()))
	sum := cookieHash(&j.secrets(now)[0], dst[start:], addr)
	return append(dst, sum[:]...)
}

// cookieHash is the last part of a server cookie: client cookie, version, reserved octets, time and client address under a secret
// (RFC 9018 section 4.4). cookie is at least the first 16 octets of the option.
func cookieHash(secret *CookieSecret, cookie []byte, addr netip.Addr) [8]byte {
	var buf [32]byte
	n := copy(buf[:], cookie[:16])
	if addr.Is4() {
		a := addr.As4()
		n += copy(buf[n:], a[:])
	} else {
		a := addr.As16()
		n += copy(buf[n:], a[:])
	}
	var out [8]byte
	binary.LittleEndian.PutUint64(out[:], sipHash24((*[16]byte)(secret), buf[:n]))
	return out
}

// ParseCookieSecret reads a secret as 32 hexadecimal digits, as servers of other make write it, with white space around it.
func ParseCookieSecret(text []byte) (CookieSecret, error) {
	var s CookieSecret
	text = bytes.TrimSpace(text)
	if len(text) != 2*len(s) {
		return s, fmt.Errorf("cookie secret: %d characters, want %d hexadecimal digits", len(text), 2*len(s))
	}
	if _, err := hex.Decode(s[:], text); err != nil {
		return CookieSecret{}, fmt.Errorf("cookie secret: %w", err)
	}
	return s, nil
}
