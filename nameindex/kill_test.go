package nameindex_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

const killPath = "CENOTE_TEST_KILL_PATH"

// TestMain lets the test binary be the process that is killed while it writes.
func TestMain(m *testing.M) {
	if path := os.Getenv(killPath); path != "" {
		writeForEver(path)
	}
	os.Exit(m.Run())
}

// writeForEver replaces the index at path again and again and says what it is about to write.
func writeForEver(path string) {
	for n := 1; ; n++ {
		fmt.Println(n)
		if _, err := generation(n).WriteFile(path, nil); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

// A builder that is killed at any moment leaves an index of one generation or the next, whole.
func TestKilledWriterLeavesAWholeFile(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 8 {
		path := filepath.Join(t.TempDir(), "names")
		last := killAfter(t, path, 2+r.IntN(6), r.IntN(200_000))
		x, err := nameindex.Open(path, nameindex.OpenOptions{})
		if err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		before, after := []string{"2=" + strconv.Itoa(last-1)}, []string{"2=" + strconv.Itoa(last)}
		if got := walk(x, dnsname.MustParse("n1.example")); !equal(got, before) && !equal(got, after) {
			t.Errorf("Walk = %v, want %v or %v", got, before, after)
		}
	}
}

// killAfter runs a writer, lets it announce some generations, spins for a while and kills it. It returns the last announced.
func killAfter(t *testing.T, path string, generations, spins int) (last int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), killPath+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range generations {
		if !lines.Scan() {
			t.Fatal("the writer ended early")
		}
	}
	x := rand.New(rand.NewPCG(8, 8))
	for range spins {
		x.Uint64()
	}
	cmd.Process.Kill()
	last, err = strconv.Atoi(lines.Text())
	for lines.Scan() { // what it announced before it died
		last, err = strconv.Atoi(lines.Text())
	}
	if cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return last
}
