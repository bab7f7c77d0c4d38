# Everything a developer and CI do. `make` lists the targets; targets that need
# PostgreSQL or Redis get them from scripts/services.sh.
SERVICES := scripts/services.sh run
LINT     := go tool -modfile=tools/go.mod golangci-lint
# SQLite's own code, C turned into Go, is five times slower when it is watched for races, which it is not tested for here.
RACE      = -race -gcflags=modernc.org/...=-race=false
# One test binary runs at a time, while the next is linked: without what debuggers read, and without vet, which has a target of its own.
TURNS     = -ldflags=-w -vet=off $(if $(shell command -v flock),-p 2 -exec 'flock $(abspath Makefile)',-p 1)
# The fault tests kill servers and count seconds, so they run alone and without -race.
PACKAGES  = $$(go list ./... | grep -v '^carillon/faults')

.PHONY: help run build test check generate lint fmt vet generated modules imports race faults e2e fuzz bench soak

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: ## run the server (ARGS="--help")
	go run . $(ARGS)

build: ## build ./carillon
	go build -trimpath -o carillon .

test: ## everything: lint, checks, all tests with PostgreSQL and Redis (what CI runs)
	@$(SERVICES) scripts/test.sh lint vet generated modules race faults e2e

check: ## what needs no services, before a commit: lint, vet, generated code, modules, import rules
	@scripts/test.sh lint vet generated modules imports

generate: ## write the generated code anew
	go generate ./...

lint: ## golangci-lint, at the version of tools/go.mod
	@$(LINT) version
	$(LINT) run

fmt: ## format all Go files as lint wants them
	$(LINT) fmt

vet: ## go vet
	go vet ./...

generated: ## fail if the generated code is not what `make generate` writes
	@scripts/generated.sh

modules: ## fail if go.mod or go.sum is not tidy
	go mod tidy -diff
	go mod verify

imports: ## the import rules alone (internal/archtest)
	go test -count=1 ./internal/archtest

race: ## all Go tests but the faults, with -race, on both databases
	@scripts/need.sh gcc gcc libc6-dev
	go build $(RACE) $(PACKAGES) # with all processors
	$(SERVICES) go test $(RACE) $(TURNS) -count=1 -timeout=20m $(PACKAGES)

faults: ## the short run of the fault tests, which start servers of their own
	@scripts/services.sh programs
	go test -count=1 -timeout=12m ./faults/...

e2e: ## the end-to-end suites in e2e/, on a server built from this tree
	@$(SERVICES) scripts/e2e.sh

fuzz: ## every fuzz target for a while (FUZZTIME=10s)
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## the benchmarks, counterpart included (ARGS="-help")
	@scripts/services.sh programs
	go run ./bench $(ARGS)

soak: ## the long run of the faults (ARGS="-help")
	@scripts/services.sh programs
	go run ./faults $(ARGS)
