package blocklist

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"cenote/pace"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/net/http/httpguts"
)

// download asks for one list once. It has a connection of its own for each request, which ends with it.
type download struct {
	url       *url.URL
	objects   *url.URL // of a collection of TAXII; nil for a list
	directory *url.URL // of a MISP feed; nil for a list
	accept    string
	auth      authHeader
	key       *listKey // nil: lists need no signature
	limits    Limits
	transport *http.Transport
	bytes     int64 // of bodies, as they came
}

// Bounds of a download.
const (
	redirectsMax     = 5
	answerHeaderMax  = 64 << 10 // octets of the header of an answer
	connectTimeout   = 15 * time.Second
	handshakeTimeout = 15 * time.Second
	copySize         = 64 << 10
	validatorMax     = 1 << 10 // octets of an ETag or a Last-Modified that is kept
	caFileMax        = 4 << 20 // octets
)

// newDownload reads what the settings of f name. Its errors show no key.
func newDownload(f *Fetch, limits Limits) (*download, error) {
	u, err := parseURL(f.URL)
	if err != nil {
		return nil, err
	}
	key, err := parseListKey(f.MinisignKey)
	if err != nil {
		return nil, err
	}
	auth, err := readAuthHeader(f.AuthHeaderFile)
	if err != nil {
		return nil, err
	}
	d := &download{url: u, accept: "*/*", auth: auth, key: key, limits: limits}
	if f.TAXII {
		d.accept = taxiiMedia + ";version=2.1"
		if d.objects, err = collectionURL(u); err != nil {
			return nil, err
		}
	}
	if f.MISP {
		d.directory = feedDirectory(u)
	}
	d.transport, err = newTransport(f)
	return d, err
}

// newTransport speaks HTTP/1.1 over connections that the guard lets through, and uses no proxy: the guard would see only the proxy's address.
func newTransport(f *Fetch) (*http.Transport, error) {
	roots, err := readRoots(f.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: connectTimeout, Control: newDialGuard(f.AllowPrivate).control}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: dialer.DialContext, Protocols: protocols, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: answerHeaderMax, TLSHandshakeTimeout: handshakeTimeout,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}, nil
}

// readRoots reads the certificates of a file; nil stands for those of the system.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readSmall(path, caFileMax)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("ca_file: %s holds no certificate as PEM", path)
	}
	return roots, nil
}

// list asks for the list unless it is the one that is known, and puts it into a file of create, whole, within the limits and verified. The file is nil
// where the server has what is known.
func (d *download) list(ctx context.Context, known fetchedState, create func() (*os.File, error)) (fetchedState, *os.File, error) {
	res, err := d.get(ctx, d.url, known)
	if err != nil {
		return fetchedState{}, nil, err
	}
	defer res.Body.Close()
	got := fetchedState{Fetched: time.Now().UTC(), ETag: validator(res, "ETag"), LastModified: lastModified(res)}
	switch {
	case res.StatusCode == http.StatusNotModified && known.ETag+known.LastModified != "":
		known.Fetched = got.Fetched
		return known, nil, nil
	case res.StatusCode != http.StatusOK:
		return got, nil, statusError(res)
	}
	f, err := create()
	if err != nil {
		return got, nil, err
	}
	if err = d.receive(ctx, res, f, &got); err != nil {
		discard(f)
		return got, nil, err
	}
	return got, f, nil
}

func discard(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}

// receive writes the body to f and verifies it, behind whatever answers queries.
func (d *download) receive(ctx context.Context, res *http.Response, f *os.File, got *fetchedState) error {
	err := pace.Behind(func() error { return d.save(res, f, got) })
	if err != nil || d.key == nil {
		return err
	}
	signature, err := d.signature(ctx)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err = pace.Behind(func() error { return d.key.verify(f, got.Size, signature) })
	if err != nil {
		return &fetchError{outcome: FetchUnsigned, text: err.Error()}
	}
	return nil
}

// validator is a header by which the next request can ask whether the list has changed; "" where it cannot be sent back.
func validator(res *http.Response, name string) string {
	v := res.Header.Get(name)
	if len(v) > validatorMax || !httpguts.ValidHeaderFieldValue(v) {
		return ""
	}
	return v
}

// lastModified is the Last-Modified of an answer, unless the list could have changed once more in the same second (RFC 9110 section 8.8.2.2).
func lastModified(res *http.Response) string {
	v := validator(res, "Last-Modified")
	changed, err := http.ParseTime(v)
	sent, dateErr := http.ParseTime(res.Header.Get("Date"))
	if err != nil || dateErr == nil && sent.Sub(changed) < time.Second {
		return ""
	}
	return v
}

// get asks for what u names and follows redirects. The caller closes the body.
func (d *download) get(ctx context.Context, u *url.URL, known fetchedState) (*http.Response, error) {
	home := true // we have not been led elsewhere
	for range redirectsMax + 1 {
		res, err := d.transport.RoundTrip(d.request(ctx, u, home, known))
		if err != nil {
			return nil, err
		}
		if !isRedirect(res.StatusCode) {
			return res, nil
		}
		res.Body.Close()
		if u, err = redirected(u, res.Header.Get("Location")); err != nil {
			return nil, err
		}
		home = home && sameServer(d.url, u)
	}
	return nil, &fetchError{outcome: FetchRefused, text: fmt.Sprintf("it redirects more than %d times", redirectsMax)}
}

// request proves who asks to the server of the configured URL alone. It sends no Referer, which would tell the next server the path of the first.
func (d *download) request(ctx context.Context, u *url.URL, home bool, known fetchedState) *http.Request {
	header := http.Header{"User-Agent": {"cenote"}, "Accept": {d.accept}, "Accept-Encoding": {"gzip"}}
	if d.key != nil {
		header.Set("Accept-Encoding", "identity") // the signature is of the list as it is
	}
	if known.ETag != "" {
		header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		header.Set("If-Modified-Since", known.LastModified)
	}
	req := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}).WithContext(ctx)
	if home && d.url.User != nil {
		password, _ := d.url.User.Password()
		req.SetBasicAuth(d.url.User.Username(), password)
	}
	if home && d.auth.name != "" {
		header.Set(d.auth.name, d.auth.value)
	}
	return req
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirected is where an answer leads.
func redirected(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil, location == "":
		return nil, &fetchError{outcome: FetchRefused, text: "it redirects to what is no URL"}
	case to.Scheme != "https" && to.Scheme != "http", to.Hostname() == "":
		return nil, &fetchError{outcome: FetchRefused, text: "it redirects to what is neither https nor http"}
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, &fetchError{outcome: FetchRefused, text: "it redirects from https to http (" + shownHost(to) + ")"}
	}
	return to, nil
}

// sameServer reports whether b is of the server of a, perhaps by TLS where a is not.
func sameServer(a, b *url.URL) bool {
	if !strings.EqualFold(a.Hostname(), b.Hostname()) {
		return false
	}
	return a.Scheme == b.Scheme && portOf(a) == portOf(b) || a.Scheme == "http" && portOf(a) == "80" && b.Scheme == "https" && portOf(b) == "443"
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// save writes the body of an answer to f, unpacked if it was packed for the way, and notes size and sum.
func (d *download) save(res *http.Response, f *os.File, got *fetchedState) error {
	most := d.limits.SourceBytes
	if res.ContentLength > most {
		return ErrTooLarge
	}
	left, unpacked := most, most
	defer func() { d.bytes += most - left }()
	body, err := decoded(res, &metered{res.Body, &left})
	if err != nil {
		return err
	}
	h := sha256.New()
	got.Size, err = io.CopyBuffer(io.MultiWriter(f, h), &metered{body, &unpacked}, make([]byte, copySize))
	if err != nil {
		return err
	}
	got.SHA256 = hex.EncodeToString(h.Sum(nil))
	if !endIsKnown(res) && !endIsChecked(f) {
		return &fetchError{outcome: FetchIncomplete, text: "the server tells no length, so that nobody knows whether the list came whole"}
	}
	return nil
}

// decoded is a body without what was packed for the way.
func decoded(res *http.Response, body io.Reader) (io.Reader, error) {
	switch coding := strings.ToLower(res.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(body)
	}
	return nil, &fetchError{outcome: FetchIncomplete, text: "it is packed for the way as was not asked for (Content-Encoding)"}
}

// endIsKnown reports whether a body that is cut off is found out by HTTP or by the checksum of what it was packed with.
func endIsKnown(res *http.Response) bool {
	return res.ContentLength >= 0 || len(res.TransferEncoding) > 0 || res.Header.Get("Content-Encoding") != ""
}

// endIsChecked reports whether a list that is cut off is found out when it is read.
func endIsChecked(f *os.File) bool {
	head := make([]byte, len(magicZip))
	n, _ := f.ReadAt(head, 0)
	return strings.HasPrefix(string(head[:n]), magicGzip) || strings.HasPrefix(string(head[:n]), magicZip)
}

// signature asks for the signature beside the list.
func (d *download) signature(ctx context.Context) ([]byte, error) {
	u := *d.url
	u.Path += ".minisig"
	if u.RawPath != "" {
		u.RawPath += ".minisig"
	}
	res, err := d.get(ctx, &u, fetchedState{})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		e := statusError(res)
		e.outcome, e.text = FetchUnsigned, "of the signature beside the list (.minisig) "+e.text
		return nil, e
	}
	left := int64(signatureMax)
	b, err := io.ReadAll(&metered{res.Body, &left})
	d.bytes += int64(len(b))
	if errors.Is(err, ErrTooLarge) {
		return nil, &fetchError{outcome: FetchUnsigned, text: errSignature.Error()}
	}
	return b, err
}

// fetchError is why a list was not fetched.
type fetchError struct {
	outcome    FetchOutcome
	text       string
	retryAfter time.Duration // what the server asks for; 0: nothing
}

// Error is the text for the operator. It holds nothing of the server's but an address or a status.
func (e *fetchError) Error() string { return e.text }

// statusError says what an answer without a list is.
func statusError(res *http.Response) *fetchError {
	e := &fetchError{outcome: FetchStatusCode, text: fmt.Sprintf("the server answers %d %s", res.StatusCode, http.StatusText(res.StatusCode))}
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.text += "; look at auth_header_file"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.retryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	}
	return e
}

// retryAfterMax is how long a server may have us wait.
const retryAfterMax = 24 * time.Hour

// retryAfter reads a time to wait (RFC 9110 section 10.2.3): seconds or a date; 0 for what is neither.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, retryAfterMax)
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, min(t.Sub(now), retryAfterMax))
	}
	return 0
}

// errTimeUp is the cause of a fetch that took too long.
var errTimeUp = errors.New("the fetch took too long")

// judge says of any error of a fetch what it means for the operator. What a server sent is never in it: it could send our own key back.
func (f *Fetch) judge(ctx context.Context, limits Limits, err error) *fetchError {
	if e, ok := errors.AsType[*fetchError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*addressError](err); ok {
		return &fetchError{outcome: FetchRefused, text: e.Error()}
	}
	switch {
	case errors.Is(context.Cause(ctx), errTimeUp):
		return &fetchError{outcome: FetchTimedOut, text: fmt.Sprintf("it is not done after %v; raise the feed's timeout if it is meant to take longer", f.Timeout)}
	case errors.Is(err, ErrTooLarge):
		return &fetchError{outcome: FetchTooLarge, text: fmt.Sprintf("%v of %d octets; raise limits.size if it is meant to be so large", ErrTooLarge, limits.SourceBytes)}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &fetchError{outcome: FetchIncomplete, text: "the connection ended before the list did"}
	case errors.Is(err, http.ErrSchemeMismatch):
		return &fetchError{outcome: FetchUnreachable, text: "the server speaks http where the url says https"}
	case unreachable(err):
		return &fetchError{outcome: FetchUnreachable, text: err.Error()}
	case onDisk(err):
		return &fetchError{outcome: FetchNotStored, text: err.Error()}
	}
	return &fetchError{outcome: FetchIncomplete, text: "what the server sends cannot be read as HTTP"}
}

// unreachable reports whether an error is about name, address, connection or certificate. A malformed answer has another type.
func unreachable(err error) bool {
	if _, malformed := errors.AsType[textproto.ProtocolError](err); malformed {
		return false
	}
	_, network := errors.AsType[*net.OpError](err)
	_, name := errors.AsType[*net.DNSError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	timeout, ok := errors.AsType[net.Error](err)
	return network || name || certificate || alert || ok && timeout.Timeout()
}

func onDisk(err error) bool {
	_, path := errors.AsType[*os.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	return path || link
}
