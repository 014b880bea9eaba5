// Command bench measures what a query costs, and writes the figures into docs/performance.md.
//
//	go run ./bench                  both parts, and the page
//	go run ./bench -micro=false     the whole server only
//	go run ./bench -page=           print the tables and write no page
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
//
// Then, at half the rate of hits, it asks for millions of different pairs of client and name, and compares the matches that the server
// counted with what the ledger recorded and reported as lost: it fails if one is lost or unaccounted for. -ledger has to be long enough
// for five million.
//
// At last it asks at a steady rate, first leaving the server alone and then replacing its list again and again, and compares the slowest answers.
//
// Start reading at main.go, then server.go.
package main
