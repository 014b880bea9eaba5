package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// cleanSuffix is the top-level domain of the names that gen makes to be in no list.
const cleanSuffix = ".cln"

// writeClean writes two files of n questions for names that are in no list, nor below a listed one: those of q.clean, again and again,
// each time below another top-level domain, which no name of a list has. The file warm is for filling the cache; the other has them in
// another order, so that answers are not asked for in the order in which they lie in memory.
func writeClean(dir string, n int, name, warm string) error {
	b, err := os.ReadFile(filepath.Join(dir, "q.clean"))
	if err != nil {
		return err
	}
	names := cleanNames(string(b))
	if len(names) == 0 {
		return errors.New("q.clean has no names")
	}
	err = writeQuestions(filepath.Join(dir, warm), names, n, func(i int) int { return i })
	stride := strideOf(n)
	return errors.Join(err, writeQuestions(filepath.Join(dir, name), names, n, func(i int) int { return i * stride % n }))
}

// cleanNames are the names of a file of questions, without their top-level domain.
func cleanNames(file string) (out []string) {
	for line := range strings.Lines(file) {
		if name, _, ok := strings.Cut(line, cleanSuffix+" "); ok {
			out = append(out, name)
		}
	}
	return out
}

// cleanName is the i-th of the names that are made of them. A top-level domain of a letter and digits is in no list.
func cleanName(names []string, i int) string {
	return fmt.Sprintf("%s.c%03d", names[i%len(names)], i/len(names))
}

func writeQuestions(path string, names []string, n int, at func(int) int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range n {
		w.WriteString(cleanName(names, at(i)))
		w.WriteString(" A\n")
	}
	return errors.Join(w.Flush(), f.Close())
}

// strideOf is a step that comes by each of n places once, far from the place before.
func strideOf(n int) int {
	stride := max(1, n*618/1000)
	for gcd(stride, n) != 1 {
		stride++
	}
	return stride
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
