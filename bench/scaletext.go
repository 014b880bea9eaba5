package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// reasonMax is how much of the reason why a row was not measured stands in the table, in octets.
const reasonMax = 200

// scaleText is the section of the page.
func scaleText(rows []*scaleRow, names, turns int, drawn string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### Scale\n\nOne core for the server and one for the load; %s names and everything else at its default, but for what the row says; medians of %d turns. ", thousands(float64(names)), turns)
	b.WriteString("Hits are listed names, spread over the whole list; cached are 10,000 names that are not listed, and in rows about cached answers as many as these. ")
	b.WriteString("Start is until the last name of the list is answered by policy: from the text with nothing compiled, and again from the compiled file. ")
	b.WriteString("RSS is that of the server after that second start, and after the loads. ")
	b.WriteString("In the rows of policy zones every zone holds the list, so that the first one decides and up to 8 more matches are recorded as observed; or the last one alone holds it and all are asked. In those of views each view has a policy zone of its own with the whole list, and each client of the load is in another view, as far as there are enough.\n\n")
	b.WriteString("| against | size | ratio, hits | CPU, us/query, hits | ratio, cached | CPU, us/query, cached | RSS at the start, MiB | RSS after the loads, MiB | compiled file, octets a name | start from text, s | start from the compiled file, s |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range rows {
		b.WriteString(row.text())
	}
	b.WriteString(answersText(rows))
	if drawn != "" {
		fmt.Fprintf(&b, "\n![CPU of a query and memory of the server against the length of the list](%s)\n", drawn)
	}
	return b.String()
}

// text is the row in the table.
func (row *scaleRow) text() string {
	begin := fmt.Sprintf("| %s | %s |", row.what, thousands(float64(row.size)))
	if row.failed != nil {
		return begin + " not measured: " + reason(row.failed) + strings.Repeat(" | -", 8) + " |\n"
	}
	return begin + fmt.Sprintf(" %s | %s | %.0f | %.0f | %.1f | %.2f | %.3f |\n", row.hits.cells(), row.cached.cells(),
		row.started.rss/mib, row.loaded.rss/mib, row.octets, row.cold.Seconds(), row.restart.Seconds())
}

// cells are the ratio and the CPU of a load.
func (r *loadResult) cells() string {
	if r == nil {
		return "- | -"
	}
	return fmt.Sprintf("%.2f | %.2f", median(r.ratios()), median(r.cpu))
}

// ownPath matches the paths of a measurement, which say nothing to others.
var ownPath = regexp.MustCompile(`/\S*cenote-bench-\d+`)

// reason is an error as it can stand in a table.
func reason(err error) string {
	text := strings.ReplaceAll(ownPath.ReplaceAllString(err.Error(), "DIR"), "|", "/")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > reasonMax {
		end := reasonMax
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + " …"
	}
	return text
}

// answersText says what answers take in rows about the cache.
func answersText(rows []*scaleRow) string {
	var parts []string
	for _, row := range rows {
		if row.cache > 0 && row.failed == nil {
			used, _ := row.cached.cache.each()
			parts = append(parts, fmt.Sprintf("%.0f octets with %s of them", used, thousands(row.cached.cache.answers)))
		}
	}
	if parts == nil {
		return ""
	}
	return fmt.Sprintf("\nA cached answer to a question for A takes by the cache's own count: %s. The cache was given %d octets for each and no less than %d MiB.\n", strings.Join(parts, ", "), cacheEach, cacheDefault>>20)
}
