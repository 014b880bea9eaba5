package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// responseMax bounds what the client reads of one response, in octets.
const responseMax = 256 << 20

// Client asks a running server over its Unix socket.
type Client struct {
	socket string
	http   *http.Client
}

// ErrNoServer says that nothing listens on the socket.
var ErrNoServer = errors.New("no server is running there")

// NewClient returns a Client for the server that listens on socket. timeout bounds one whole request; zero stands for 30 s.
func NewClient(socket string, timeout time.Duration) *Client {
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Get asks path with the parameters and decodes the answer into out.
func (c *Client) Get(ctx context.Context, path string, params url.Values, out any) error {
	if len(params) > 0 {
		path += "?" + params.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, out)
}

// Post sends in as JSON to path and decodes the answer into out.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, body, out)
}

// Delete removes what path names and decodes the answer into out.
func (c *Client) Delete(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodDelete, path, nil, out)
}

// Profile has a profile taken, with the parameters of GET /v1/profile, and writes it to out.
func (c *Client) Profile(ctx context.Context, params url.Values, out io.Writer) error {
	return c.Download(ctx, "/v1/profile?"+params.Encode(), responseMax, out)
}

// Download writes what is at path to out, at most so many octets.
func (c *Client) Download(ctx context.Context, path string, most int64, out io.Writer) error {
	res, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= http.StatusBadRequest {
		return decode(res, nil)
	}
	if _, err := io.Copy(out, io.LimitReader(res.Body, most)); err != nil {
		return fmt.Errorf("reading what the server sends: %w", err)
	}
	return nil
}

// Dump writes the dump of the server's cache to out.
func (c *Client) Dump(ctx context.Context, out io.Writer) error {
	return c.Download(ctx, "/v1/cache/dump", dumpMax, out)
}

// DumpZone writes a zone to out as a master file: as it comes, or as it is signed here.
func (c *Client) DumpZone(ctx context.Context, name string, signed bool, out io.Writer) error {
	params := url.Values{"zone": {name}, "signed": {strconv.FormatBool(signed)}}
	return c.Download(ctx, "/v1/zones/dump?"+params.Encode(), dumpMax, out)
}

// Load has the server's cache read a dump.
func (c *Client) Load(ctx context.Context, dump io.Reader, out *LoadAnswer) error {
	res, err := c.send(ctx, http.MethodPost, loadPath, dump)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return decode(res, out)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, out any) error {
	res, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return decode(res, out)
}

// ask returns the response, whose body the caller closes.
func (c *Client) ask(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	return c.send(ctx, method, path, bytes.NewReader(body))
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreached(err)
	}
	return res, nil
}

// unreached says why there was no answer, and what to do about it.
func (c *Client) unreached(err error) error {
	opErr, ok := errors.AsType[*net.OpError](err)
	switch {
	case !ok || opErr.Op != "dial":
		return fmt.Errorf("asking the server on %s: %w", c.socket, err)
	case errors.Is(opErr.Err, fs.ErrPermission):
		return fmt.Errorf("asking the server on %s: you may not write to its socket (ask as the user it runs as, or widen api.socket_mode): %w", c.socket, opErr.Err)
	}
	return fmt.Errorf("asking the server on %s: %w (start it with `cenote serve`, or name its file with --config or its socket with --socket): %w",
		c.socket, ErrNoServer, opErr.Err)
}

func decode(res *http.Response, out any) error {
	from := json.NewDecoder(io.LimitReader(res.Body, responseMax))
	if res.StatusCode >= http.StatusBadRequest {
		var problem Problem
		if err := from.Decode(&problem); err != nil || problem.Message == "" {
			return fmt.Errorf("the server answered %s", res.Status)
		}
		return &problem
	}
	if err := from.Decode(out); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}
