// Command bench measures what a query costs, and writes the figures into docs/performance.md.
//
//	go run ./bench                  both parts, and the page
//	go run ./bench -micro=false     the whole server only
//	go run ./bench -page=           print the tables and write no page
//	go run ./bench -peers all       the server beside other servers, and nothing else; or names, such as -peers named,dnsdist
//	go run ./bench -zones           authoritative zones beside nsd, knot and named, and nothing else
//	go run ./bench -scale           the scaling table and its plot instead; -scale-names, -scale-cache, -scale-feeds, -scale-zones and
//	                                -scale-views say which sizes, and an empty one leaves its rows out
//	go run ./bench -profile FILE    measure nothing; write a CPU profile of the server under every load
//
// The micro part runs the benchmarks of the packages (go test -bench) on one core, with their allocations.
//
// The server part needs Linux, two cores, a C compiler, taskset, and the load tools (dnsblast, echo and gen) in a directory bench of a
// directory shared beside the checkout; without them it says so and is left out. It builds the tools in a temporary directory, makes a
// list of a million names and files of queries, builds the server, and starts it as users do: cenote serve --config FILE. The server has core 0
// and GOMAXPROCS=1, the load has core 1. Machines are unlike each other, and no machine is like itself a minute ago, so every figure is
// a ratio: to echo, a responder in C that looks nothing up, measured in turns with the server (A B, B A, A B …) on the same core and
// with the same queries. The table gives the median of the ratios and how far they spread. A run in which either of them loses queries, or
// whose queries did not meet what the load is named for, is no measurement and ends with an error.
//
//   - hits: names of the list, spread over all of it, from a few client addresses, so that the ledger knows the pairs of client and name
//   - new pairs: the same from many addresses, so that hardly a pair is known
//   - cached: 10,000 names that are not listed, all in the cache
//   - mix: 3 % listed names, the rest cached by Zipf's law; 80 % A, 13 % AAAA, 7 % HTTPS
//   - cached 100k: as cached, with 100,000 names, asked for in another order than they came into the cache; what an answer takes is stated
//   - misses: names that nobody has asked for, of a zone whose server is a part of this program, on the load's core. A server started anew asks
//     for each of them by recursion, without validation
//   - hits+log, mix+log: hits and mix, once all else is measured, by a server started anew with a query log that writes every query
//
// Heap objects a query are counted from when the server has done what the warming left it to do, without those of reading its metrics.
//
// Of each load it tells how long the garbage collector stopped the server, by the server's own histogram.
//
// Then, at half the rate of hits, it asks for millions of different pairs of client and name, and compares the matches that the server
// counted with what the ledger recorded and reported as lost: it fails if one is lost or unaccounted for. -ledger has to be long enough
// for five million.
//
// At last it asks at a steady rate, first leaving the server alone, then replacing its list again and again, by one of which so many names are others
// that all is compiled anew, and then a small feed beside the list, which is a change of few names. It compares the slowest answers and the
// memory.
//
// The part of the peers needs the same, and the servers that it is to measure, from Debian packages: it installs nothing, and says how to. It starts
// one after the other beside the server, each with the list in its own form, on the server's core, where the idle one of the two costs nothing.
// Before, it sees that the peer answers listed names by policy and others from the upstream, and warms it. Then
// the two take turns: -pairs times at full load, each with the number of queries under way at which it is at its best, and as often at half of
// what the slower one did, and of their own. The loads (-loads) are hits, cached, mix and, beside those that recurse, misses, and
//
//   - tcp: the names of cached over -tcp-conns connections that stay open, with -tcp-window queries under way on each
//
// The generator for TCP is this program again, as a child; where it has no time left of its core, the row says so. A peer that is missing, does not come up
// or loses queries is a row with the reason; one that was asked for by its name and has no figures is an error besides. The figures go into the
// page, and a chart of them beside it, peers.svg.
//
// The scaling table has a row for each size of the list, of the cache, of the number of feeds, of policy zones and of views, everything else at
// its default with a million names (-names). For each row a server starts with nothing compiled and again with what it compiled then, and
// bears hits and cached names as above. A row that cannot be measured (memory, disk) says why, and the others follow. The defaults take about
// half an hour, 6 GB of disk and 8 GB of memory.
//
// Start reading at main.go, then server.go; for the peers at peers.go, then peers_measure.go; for the scaling table at
// scale.go.
package main
