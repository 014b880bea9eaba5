package main

import "strings"

// cachedMany is how many names a load has that asks for many cached answers.
const cachedMany = 100_000

// kind is a kind of load: its name, its file of queries, from how many client addresses they come, and what share of them policy has to match
// for the load to be what it says.
type kind struct {
	name, file             string
	clients                int // 0: as the flag says
	matchedMin, matchedMax float64
	pairs                  bool   // the ledger is to know every pair of client and name before
	warm                   string // the file by which the cache is filled; empty: the file itself
	miss                   bool   // no name comes twice: the server asks for each the one server of a stub zone, and checks no signatures
}

// logged is at the end of the names of the loads that a server has to bear whose query log writes every query.
const logged = "+log"

// hits has so few clients that all their pairs with 200,000 names are those of one hour, as they are where infected machines ask for the same
// names again and again. In new pairs hardly any query is for a pair that the ledger knows: the worst case.
var kinds = []kind{
	{name: "hits", file: "q.blocked", clients: 4, matchedMin: 0.999, matchedMax: 1, pairs: true},
	{name: "new pairs", file: "q.blocked", clients: 64, matchedMin: 0.999, matchedMax: 1},
	{name: "cached", file: "q.clean"},
	{name: "mix", file: "q.mix", matchedMin: 0.02, matchedMax: 0.04},
	{name: "cached 100k", file: "q.many", warm: "q.many.warm"},
	{name: "misses", file: missFile, miss: true},
	{name: "hits" + logged, file: "q.blocked", clients: 4, matchedMin: 0.999, matchedMax: 1, pairs: true},
	{name: "mix" + logged, file: "q.mix", matchedMin: 0.02, matchedMax: 0.04},
}

// title is the name of a load as people read it.
func title(name string) string {
	if plain, ok := strings.CutSuffix(name, logged); ok {
		return plain + ", query log all"
	}
	return name
}

// bySetup tells the loads for a server as it is from those for one with a query log and for one that recurses.
func bySetup(all []kind) (plain, withLog, misses []kind) {
	for _, k := range all {
		switch {
		case strings.HasSuffix(k.name, logged):
			withLog = append(withLog, k)
		case k.miss:
			misses = append(misses, k)
		default:
			plain = append(plain, k)
		}
	}
	return plain, withLog, misses
}

func loadNames() (out []string) {
	for _, k := range kinds {
		out = append(out, k.name)
	}
	return out
}
