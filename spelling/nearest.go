package spelling

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Nearest is the word that was probably meant, or "" where none is near enough. Case, and the choice between - and _, do not
// count as a difference.
func Nearest(word string, words []string) string {
	best, bestDistance := "", 1+max(1, len(word)/3)
	folded := fold(word)
	for _, w := range words {
		d := distance(folded, fold(w))
		if len(word) >= 3 && (strings.HasPrefix(folded, fold(w)) || strings.HasPrefix(fold(w), folded)) {
			d = min(d, 1) // "warning" for "warn", "err" for "error"
		}
		if d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

func fold(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// distance is how many characters must be added, dropped, replaced or swapped with a neighbour to make one word of the other.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+unequal(a[i], b[j]))
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func unequal(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}

// Hint is what to say of a word that is none of the known ones: the nearest, or if none is near and they are few all of them; "" else.
func Hint(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	const listMax = 12
	if len(words) == 0 || len(words) > listMax {
		return ""
	}
	return "known here: " + strings.Join(slices.Sorted(slices.Values(words)), ", ")
}

// knownShown is how many words a refusal lists.
const knownShown = 30

// Known is what to say of a name that is none of the known ones, of which there may be thousands: the nearest if one is near, and what there is, of many a part.
func Known(name string, known []string) string {
	hint := ""
	if near := Nearest(name, known); near != "" {
		hint = "did you mean " + strconv.Quote(near) + "? "
	}
	sorted := slices.Sorted(slices.Values(known))
	switch {
	case len(sorted) == 0:
		return hint + "there is none here"
	case len(sorted) <= knownShown:
		return hint + "known here: " + strings.Join(sorted, ", ")
	}
	return hint + fmt.Sprintf("%d are known here, such as %s", len(sorted), strings.Join(sorted[:knownShown], ", "))
}
