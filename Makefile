# `make help` lists the targets. `make run` and `make test` need Go alone; the tools of the others are built from
# source, at the versions that tools/go.mod pins, the first time they are needed.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X main.version=$(VERSION)
BIN     := .tools/bin
BUF     := $(BIN)/buf
LINT    := $(BIN)/golangci-lint

.DEFAULT_GOAL := help
.PHONY: help run build test test-sdk fuzz bench lint generate generate-check breaking ci

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run the service against the built-in sandbox
	go run -ldflags '$(LDFLAGS)' ./cmd/client-session-service --sandbox --log-format text

build: ## Build bin/client-session-service
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/client-session-service ./cmd/client-session-service

test: ## Run the tests with the race detector
	go test -race ./...

FUZZTIME ?= 10s
fuzz: ## Run each fuzz target for FUZZTIME (10s)
	@set -e; for package in $$(go list ./service/...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

bench: ## Run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

lint: $(BUF) $(LINT) .proto-imports ## Lint the Go code and the contract
	$(LINT) run
	$(BUF) lint
	$(BUF) format --diff --exit-code proto

generate: $(BUF) .proto-imports ## Generate gen/ from proto/
	$(BUF) generate

generate-check: generate ## Fail if gen/ is not what proto/ generates
	@test -z "$$(git status --porcelain gen)" || { git status --short gen; git --no-pager diff gen; \
	  echo "gen/ differs from what proto/ generates: run make generate and commit it"; exit 1; }

# The contract is compared with the last release, or with main as long as there is none. The imported files are not
# committed, so both sides get the same ones.
BREAKING_AGAINST ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo main)
breaking: $(BUF) .proto-imports ## Fail if the contract breaks its callers
	@set -e; old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
	git archive $(BREAKING_AGAINST) proto buf.yaml | tar -x -C "$$old"; cp -r .proto-imports "$$old"; \
	echo "comparing with $(BREAKING_AGAINST)"; $(BUF) breaking --against "$$old"

test-sdk: ## Show that Seam's own SDKs cannot tell the REST face from Seam
	python3 clients/seam-sdk/run.py

ci: generate-check lint breaking build test test-sdk ## Everything

# The .proto files that the contract imports, printed from the Go modules that hold them as descriptors.
.proto-imports: tools/go.mod tools/go.sum tools/protoimports/main.go
	rm -rf $@
	go run -C tools ./protoimports ../$@
	touch $@

$(BUF): tools/go.mod tools/go.sum
	go build -C tools -o ../$@ github.com/bufbuild/buf/cmd/buf

$(LINT): tools/go.mod tools/go.sum
	go build -C tools -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
