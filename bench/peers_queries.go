package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"cenote/wire"
)

// queryFile holds the questions of a file, made into queries with EDNS, each with its length before it as TCP wants it.
type queryFile struct {
	octets []byte
	ends   []uint32
}

func (q *queryFile) len() int { return len(q.ends) }

// query is the i-th query; after the last one comes the first again. The caller may not change it.
func (q *queryFile) query(i uint64) []byte {
	n := int(i % uint64(len(q.ends)))
	begin := uint32(0)
	if n > 0 {
		begin = q.ends[n-1]
	}
	return q.octets[begin:q.ends[n]]
}

// queryTypes are the types that the files of queries have.
func queryTypes() map[string]uint16 {
	return map[string]uint16{"A": wire.TypeA, "AAAA": wire.TypeAAAA, "HTTPS": wire.TypeHTTPS}
}

// readQueries reads a file with a name and a type a line.
func readQueries(path string) (*queryFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	q := new(queryFile)
	types := queryTypes()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, word, _ := strings.Cut(lines.Text(), " ")
		if err := q.add(name, types[word]); err != nil {
			return nil, fmt.Errorf("%s: line %d, %q: %w", path, q.len()+1, lines.Text(), err)
		}
	}
	if q.len() == 0 {
		return nil, errors.Join(lines.Err(), fmt.Errorf("%s holds no questions", path))
	}
	return q, lines.Err()
}

func (q *queryFile) add(name string, qtype uint16) error {
	if qtype == 0 {
		return errors.New("unknown type")
	}
	msg, err := encodeQuery(name, qtype)
	if err != nil {
		return err
	}
	wire.SetCount(msg, 3, 1)
	msg = wire.AppendOPT(msg, wire.UDPSafe, 0, false, nil)
	q.octets = binary.BigEndian.AppendUint16(q.octets, uint16(len(msg)))
	q.octets = append(q.octets, msg...)
	q.ends = append(q.ends, uint32(len(q.octets)))
	return nil
}

// firstNames are the names of the first n lines of a file of questions or names, or of all lines if there are fewer.
func firstNames(path string, n int) (names []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for len(names) < n && lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), " ")
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, errors.Join(lines.Err(), fmt.Errorf("%s holds no names", path))
	}
	return names, lines.Err()
}
