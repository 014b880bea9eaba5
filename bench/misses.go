package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The load of misses: names of a zone with a wildcard, each of which is asked for once.
const (
	missZone  = "miss.cln"
	missFile  = "q.misses"
	missNames = 2_000_000
	missedMin = 0.99 // of the queries, the share for which the network has to be asked
)

// writeMisses writes the questions.
func writeMisses(dir string) error {
	f, err := os.Create(filepath.Join(dir, missFile))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range uint32(missNames) {
		fmt.Fprintf(w, "n%08x.%s A\n", scattered(i), missZone)
	}
	return errors.Join(w.Flush(), f.Close())
}

// scattered is another number for each number, far from that of the one before.
func scattered(i uint32) uint32 { return i * 2654435761 }
