# Everything that a change needs. `make` alone shows the list.

GO      ?= go
BIN     := bin/cenote
PKG     ?= ./...
# What `cenote version` says; empty for a build between releases.
VERSION ?=
# How long each fuzz target runs: a time, or a number of inputs such as 5000x.
FUZZTIME ?= 30s
# The same for targets that do much for each input.
FUZZCOSTLY ?= $(FUZZTIME)
COSTLY := FuzzListReadInPart FuzzVerdict FuzzZoneChange
# At its end a process under the race detector sleeps for a second, for the sake of its other goroutines. Tests start hundreds of processes.
GORACE ?= atexit_sleep_ms=10

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/cenote, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o $(BIN) ./cmd/cenote

.PHONY: run
run: build ## serve on 127.0.0.1:5354 with the embedded configuration
	$(BIN) serve

.PHONY: test
test: ## run all tests; with CENOTE_STRICT=1 a skipped one is a failure
ifeq ($(CENOTE_STRICT),1)
	$(GO) run .ci/strict.go -timeout 15m $(PKG)
else
	$(GO) test $(PKG)
endif

.PHONY: check
check: format vet staticcheck map race ## what every commit passes

.PHONY: format
format: ## fail if a file is not formatted
	@files=$$(gofmt -l $$(git ls-files '*.go') .ci); if [ -n "$$files" ]; then echo "not formatted (run gofmt -w):"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...

.PHONY: staticcheck
staticcheck: ## staticcheck, in the version of go.mod
	$(GO) tool staticcheck ./...

.PHONY: map
map: ## the map of packages, and the documents against the code
	$(GO) test .
	$(GO) test ./config -run 'TestReference|TestEveryKeyIsDescribed|TestExampleLoads'

.PHONY: race
race: ## all tests with the race detector
	GORACE="$(GORACE)" $(GO) test -race -timeout 20m $(PKG)

.PHONY: vuln
vuln: ## known vulnerabilities of what we build on; needs the network for its database, so it is no part of check
	$(GO) tool govulncheck $(if $(GOVULNDB),-db $(GOVULNDB)) ./...

# What the program bench is told: without -page= it writes docs/performance.md too.
BENCHFLAGS ?= -page=

.PHONY: bench
bench: ## the whole server beside a bare echo, then the benchmarks of the packages (BENCHFLAGS may be set)
	$(GO) run ./bench $(BENCHFLAGS)

.PHONY: peers-bench
peers-bench: ## the whole server beside other servers, on one core each in turns; says how to install those that are missing (BENCHFLAGS may be set)
	$(GO) run ./bench -peers all $(BENCHFLAGS)

.PHONY: scale-bench
scale-bench: ## what a query, memory and a start cost against names, cached answers, feeds and zones; half an hour (BENCHFLAGS may be set)
	$(GO) run ./bench -scale $(BENCHFLAGS)

.PHONY: zones-bench
zones-bench: ## authoritative answers, AXFR, memory and the way of a change to a secondary, beside nsd, Knot DNS and named (BENCHFLAGS may be set)
	$(GO) run ./bench -zones $(BENCHFLAGS)

.PHONY: profile
profile: ## where the server's time goes under load: take the profile by which the compiler optimises it anew
	$(GO) run ./bench -profile cmd/cenote/default.pgo

# What is instrumented for fuzzing is built once for all targets of a package.
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each (PKG and FUZZTIME may be set)
	@set -e; built=$$(mktemp -d); trap 'rm -rf "$$built"' EXIT; corpus=$$($(GO) env GOCACHE)/fuzz; \
	for pkg in $$($(GO) list $(PKG)); do \
		cd "$$($(GO) list -f '{{.Dir}}' $$pkg)"; \
		grep -qs '^func Fuzz' *_test.go || continue; \
		$(GO) test -c -fuzz . -o "$$built/fuzz" $$pkg; \
		for target in $$("$$built/fuzz" -test.list '^Fuzz'); do \
			echo "$$pkg $$target"; \
			case " $(COSTLY) " in *" $$target "*) length=$(FUZZCOSTLY);; *) length=$(FUZZTIME);; esac; \
			"$$built/fuzz" -test.run '^$$' -test.fuzz "^$$target$$" -test.fuzztime $$length -test.fuzzminimizetime 1s -test.fuzzcachedir "$$corpus/$$pkg"; \
		done; \
	done

.PHONY: peers
peers: ## let dig, unbound and named judge; fails where one is missing
	CENOTE_STRICT=1 $(GO) test -count=1 -run 'Peer|Judge|Unbound|Named|Dig' $(PKG)

.PHONY: conformance
conformance: ## play the scenarios of other resolvers in ../shared/scenarios, all of them; says what is missing (docs/conformance.md)
	CENOTE_LONG=1 $(GO) test -count=1 -timeout 20m -v -run TestConformance ./cmd/cenote

.PHONY: judge
judge: ## have unbound and named judge recursion by 20,000 names of a tree that is broken in every way, and of one that nsd serves; takes ten minutes
	CENOTE_LONG=1 CENOTE_STRICT=1 $(GO) test -count=1 -timeout 1h -v -run 'TestUnboundAndNamedJudge|TestUnboundJudgesSubnets' ./cmd/cenote

.PHONY: attacks
attacks: ## attack a whole server for minutes, on a machine that has nothing else to do: floods of names, costly zones, forged replies
	CENOTE_LONG=1 $(GO) test -count=1 -timeout 30m -v -run 'TestServer(Under|Beside|Bounds)|TestFloodOf|TestWaterTorture|TestKeyTrap' ./cmd/cenote ./resolver

# The oracles draw more random worlds, 100,000 policies with 25 questions each, and the server is asked more often, than in an ordinary run of the tests.
.PHONY: soak
soak: ## the tests with many more random cases and queries; takes an hour
	CENOTE_CASES=2500000 CENOTE_QUERIES=10000000 $(GO) test -count=1 -timeout 3h -v -run 'Oracle|Unblocks|Agrees|Heap|Killed|Chaos' $(PKG)

.PHONY: docs
docs: ## write what is made from the code: docs/config.md, the example, the schema, docs/metrics.md
	$(GO) test ./config -count=1 -run TestReference -update
	$(GO) test . -count=1 -run TestMetricsReference -update

.PHONY: image
image: ## build the container image
	docker build -t cenote --build-arg VERSION=$(VERSION) .
