package hugepage_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"cenote/hugepage"
)

// TestPopulateGivesMemory: after it the memory is the process's, without having been written to.
func TestPopulateGivesMemory(t *testing.T) {
	const octets = 64 << 20
	s := hugepage.Make[byte](octets)
	before := resident(t)
	hugepage.Populate(s)
	if grown := resident(t) - before; grown < octets/2 {
		t.Errorf("the process has grown by %d octets, want about %d (Linux since 5.14 populates)", grown, octets)
	}
	runtime.KeepAlive(s)
}

// resident is the memory that the process has, in octets.
func resident(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
