package main

import (
	"net"
	"net/http"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// listServer gives the files of a directory over HTTP, as publishers of lists do.
type listServer struct {
	dir  string
	addr string
	http *http.Server
	done chan struct{}
}

// open listens, at the address of before if there was one.
func (l *listServer) open(t testing.TB) {
	t.Helper()
	if l.addr == "" {
		l.addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	l.addr, l.done = listener.Addr().String(), make(chan struct{})
	l.http = &http.Server{Handler: http.FileServer(http.Dir(l.dir))}
	go func() {
		defer close(l.done)
		_ = l.http.Serve(listener)
	}()
}

func (l *listServer) close() {
	if l.http == nil {
		return
	}
	_ = l.http.Close()
	<-l.done
	l.http = nil
}

func (w *world) listServer(ts *testscript.TestScript, _ bool, args []string) {
	w.lists.dir = ts.MkAbs(args[0])
	w.lists.open(w.t)
	ts.Setenv("LISTS", "http://"+w.lists.addr)
}

func (w *world) listServerDies(*testscript.TestScript, bool, []string) { w.lists.close() }

func (w *world) listServerReturns(*testscript.TestScript, bool, []string) { w.lists.open(w.t) }
