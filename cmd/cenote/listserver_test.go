package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	files := http.FileServer(http.Dir(l.dir))
	l.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/objects/") {
			l.page(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})}
	go func() {
		defer close(l.done)
		_ = l.http.Serve(listener)
	}()
}

// page answers as a server of TAXII 2.1 whose collection lies in a directory: a page a file, which is named for the time at which its objects were added.
func (l *listServer) page(w http.ResponseWriter, r *http.Request) {
	dir := filepath.Join(l.dir, filepath.Clean(r.URL.Path))
	files, err := os.ReadDir(dir)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return f.Name() <= r.URL.Query().Get("added_after") })
	w.Header().Set("Content-Type", "application/taxii+json;version=2.1")
	if len(files) == 0 {
		_, _ = io.WriteString(w, "{}")
		return
	}
	w.Header().Set("X-TAXII-Date-Added-Last", files[0].Name())
	objects, _ := os.ReadFile(filepath.Join(dir, files[0].Name()))
	_, _ = fmt.Fprintf(w, `{"more": %v, "objects": [%s]}`, len(files) > 1, objects)
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
