package blocklist_test

import (
	"os"
	"path/filepath"
	"testing"
)

// sharedData returns the path of a file of the data set that may lie beside the checkout. Without it the test is skipped, or fails where
// CENOTE_STRICT=1 says that everything must run.
func sharedData(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join("..", "..", "shared", "data", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CENOTE_STRICT") == "1" {
			tb.Fatalf("the shared data is missing: %v", err)
		}
		tb.Skipf("the shared data is not beside the checkout: %v", err)
	}
	return path
}
