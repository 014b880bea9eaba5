package blocklist

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"

	"golang.org/x/net/http/httpguts"
)

// authHeader is the line of a request by which the server of a list knows its subscriber. The zero value is none.
type authHeader struct{ name, value string }

// authHeaderMax is how many octets a file with such a line has.
const authHeaderMax = 8 << 10

var errAuthHeader = errors.New("it does not hold one line such as `Auth-Key: xyz` or `Authorization: Bearer xyz`")

// readAuthHeader reads the line in a file; "" is none. No error shows what the file holds.
func readAuthHeader(path string) (authHeader, error) {
	if path == "" {
		return authHeader{}, nil
	}
	b, err := readSmall(path, authHeaderMax)
	if err != nil {
		return authHeader{}, fmt.Errorf("auth_header_file: %w", err)
	}
	h, err := parseAuthHeader(string(b))
	if err != nil {
		return authHeader{}, fmt.Errorf("auth_header_file: %s: %w", path, err)
	}
	return h, nil
}

func parseAuthHeader(text string) (authHeader, error) {
	name, value, found := strings.Cut(strings.TrimSpace(text), ":")
	value = strings.TrimSpace(value)
	switch {
	case !found, value == "", !httpguts.ValidHeaderFieldName(name), !httpguts.ValidHeaderFieldValue(value):
		return authHeader{}, errAuthHeader
	case ourHeader(name):
		return authHeader{}, errors.New("it sets a header that is not for proving who asks")
	}
	return authHeader{name, value}, nil
}

// readSmall reads a file of the configuration. It waits for no pipe, since the fetches of a feed would wait with it.
func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%s is larger than %d octets", path, most)
	}
	return b, err
}

// ourHeader reports whether a header is about the transfer, which the fetch decides.
func ourHeader(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Accept", "Connection", "Content-Length", "Transfer-Encoding", "Accept-Encoding", "Range", "If-None-Match", "If-Modified-Since", "If-Range",
		"Te", "Trailer", "Upgrade", "Expect":
		return true
	}
	return false
}
