package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"cenote/spelling"
)

// takes lets a handler have requests with the given parameters alone: one that is passed over would give an answer to another question.
func takes(handle http.HandlerFunc, known ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := checkParameters(r.URL.RawQuery, known); err != nil {
			failWith(w, http.StatusBadRequest, err, nil)
			return
		}
		handle(w, r)
	}
}

func checkParameters(query string, known []string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("the parameters cannot be read: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no parameter %q here; %s", name, cmp.Or(spelling.Hint(name, known), "see docs/api.md"))
		}
		if len(values[name]) > 1 && name != manyTimes {
			return fmt.Errorf("the parameter %q is given %d times", name, len(values[name]))
		}
	}
	return nil
}

// manyTimes is the parameter that may be given more than once.
const manyTimes = "answer"

// oneOf returns an error unless the value of a parameter is one of those that there are, or none is given.
func oneOf(name, value string, known []string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s %q: %s", name, value, cmp.Or(spelling.Hint(value, known), "there is no such "+name))
}
