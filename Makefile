# `make help` lists the targets. `make run` and `make test` need Go alone. The tools of the others are installed the first
# time they are needed, at the versions that the lock files in tools/ pin: those in Go are built from source, the
# generators for TypeScript and Python need Node.js 20 with npm 11.4 and Python 3.11 with venv. `make ci` also needs
# Java 17 with Maven, for the client in Java, and Chromium and promtool, which it installs itself where it runs as root on
# Debian. `make test-fleet` needs Python as well, for the wheel that has Envoy, and Linux.

# The version of the commit, which at a release is that of the file VERSION.
VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 --match 'v*' 2>/dev/null | sed 's/^v\([0-9]\)/\1/' | grep . || echo dev)
# Without the tables of a debugger, which are a quarter of the binary. Profiles and stack traces do not need them.
LDFLAGS  = -s -w -X main.version=$(VERSION)
# Without grpc-go's own page of traces, which nothing serves, and the template engines that it would link.
BUILD   := build -trimpath -tags grpcnotrace
BIN     := .tools/bin
BUF     := $(BIN)/buf
LINT    := $(BIN)/golangci-lint
ACTIONLINT := $(BIN)/actionlint
# The file that npm writes last.
NODE_TOOLS := tools/node/node_modules/.package-lock.json
PYTHON_TOOLS := .tools/python/.installed
ENVOY := .tools/envoy/.installed
LOAD_PACKAGES := .tools/load/.installed

.DEFAULT_GOAL := help
.PHONY: help run build test test-sdk test-browser test-clients test-alerts test-fleet test-cluster test-seam-drift seam-drift chart chart-generate test-chart fuzz soak soak-alerts bench bench-quick bench-go lint vulnerabilities generate generate-check breaking image release test-release ci

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run the service against the built-in sandbox
	go run -ldflags '$(LDFLAGS)' ./cmd/client-session-service --sandbox --drain-delay 0s --log-format text

build: ## Build bin/client-session-service
	go $(BUILD) -ldflags '$(LDFLAGS)' -o bin/client-session-service ./cmd/client-session-service

# What is released is the same bytes wherever it is built: of this toolchain, which go fetches where it is not installed,
# without C and without paths of the machine, and with the time of the commit.
RELEASE_GO := GOTOOLCHAIN=go1.26.8 CGO_ENABLED=0 go
BINARIES := $(patsubst %,bin/%/client-session-service,linux_amd64 linux_arm64 darwin_amd64 darwin_arm64)
$(BINARIES): bin/%/client-session-service: FORCE
	GOOS=$(firstword $(subst _, ,$*)) GOARCH=$(lastword $(subst _, ,$*)) \
	  $(RELEASE_GO) $(BUILD) -buildvcs=false -ldflags '$(LDFLAGS)' -o $@ ./cmd/client-session-service
FORCE:

BASE ?= scratch
IMAGE ?= dist/image
image: $(filter bin/linux%,$(BINARIES)) ## Build the container image for amd64 and arm64, as an OCI layout in dist/image (BASE=NAME@sha256:...)
	@$(RELEASE_GO) run -C tools/release ./image -out '$(CURDIR)/$(IMAGE)' -base '$(BASE)' -version '$(VERSION)' \
	  -revision "$$(git describe --always --abbrev=40 --exclude '*' --dirty)" -created "$$(git log -1 --format=%ct)" \
	  $(foreach arch,amd64 arm64,-binary linux/$(arch)='$(CURDIR)/bin/linux_$(arch)/client-session-service')

release: VERSION = $(shell cat VERSION)
release: $(BINARIES) image $(BIN)/cyclonedx-gomod $(BIN)/goproxy $(PYTHON_TOOLS) ## Build all that is released into dist/
	sh tools/release/release.sh

test-release: release ## Install each package of dist/ into an empty project and make a call with it
	$(RELEASE_GO) test -C tools/release -count 1 ./image
	python3 tools/release/test_release.py

# The package whose tests take longest comes first, so that the others run beside it and not before. They wait more than
# they work, so three packages fit on two cores.
test: ## Run the tests with the race detector
	go test -race -p 3 ./service/server ./...
	go test -C gen/go -race ./...

FUZZTIME ?= 10s
fuzz: ## Run each fuzz target for FUZZTIME (10s)
	@set -e; for package in $$(go list ./service/...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

SOAK_TIME ?= 10m
soak: ## Load, restart and torment real processes for SOAK_TIME (10m) and some minutes more
	SOAK_TIME=$(SOAK_TIME) go test -tags soak -count 1 -timeout 60m -v ./service/soak
	SOAK_TIME=$(SOAK_TIME) go test -tags soak -count 1 -timeout 60m -v -run '^Test(AttackSoak|ServicePings)$$' ./service/server

soak-alerts: ## Run the test of soak that lets Prometheus find faults by the alert rules (5 minutes)
	go test -tags soak -count 1 -timeout 10m -v -run '^TestAlertsInPrometheus$$' ./service/soak

# Nothing but the rows may be on stdout with BENCH_FLAGS=-json.
BENCH := $(MAKE) --no-print-directory build >&2 && go build -o bin/bench ./bench >&2 && bin/bench
bench: ## Measure the service beside a floor and its alternatives, as processes (BENCH_FLAGS, 7 minutes)
	@$(BENCH) $(BENCH_FLAGS)

bench-quick: ## The same in few and short rounds
	@$(BENCH) -quick $(BENCH_FLAGS)

bench-go: ## Run the benchmarks in Go
	go test -run '^$$' -bench . -benchmem ./...

lint: $(BUF) $(LINT) $(ACTIONLINT) .proto-imports ## Lint the Go code, the contract, the workflows and the changelog
	$(LINT) run --build-tags soak,fleet
	@set -e; for module in gen/go clients/go service/servicetest tools/chart tools/cluster tools/release; do (cd $$module && ../../$(LINT) run ./...); done
	@set -e; for module in . gen/go clients/go service/servicetest tools/chart tools/cluster tools/release; do go -C $$module mod tidy -diff; done
	$(ACTIONLINT) -shellcheck= -pyflakes=
	@grep -qF "## [$$(cat VERSION)]" CHANGELOG.md || { echo "CHANGELOG.md has no heading for $$(cat VERSION), the content of VERSION"; exit 1; }
	$(BUF) lint
	$(BUF) format --diff --exit-code proto
	@set -e; for test in $$(grep -ohE '\bTest[A-Z][A-Za-z0-9]+' docs/*.md *.md deploy/*/*.md | sort -u); do \
		grep -rqE --include='*_test.go' "^func $$test\(" cmd service tools/chart tools/cluster tools/release || { echo "the docs name $$test, which does not exist"; exit 1; }; done

# Not a part of ci: it needs the database of vulnerabilities, which not every machine reaches.
vulnerabilities: $(BIN)/govulncheck ## Look for known vulnerabilities in what the service calls
	$(BIN)/govulncheck ./cmd/...

generate: $(BUF) .proto-imports $(NODE_TOOLS) $(PYTHON_TOOLS) ## Generate gen/ from proto/, and docs/configuration.md
	rm -rf gen/go/seam gen/gateway gen/openapi
	$(BUF) generate
	$(BUF) generate --template tools/node/buf.gen.yaml
	$(BUF) generate --template tools/python/buf.gen.yaml
	go run -C tools ./constants ../gen
	go test ./service/config -run '^TestConfigurationPage$$' -update

GENERATED := gen docs/configuration.md
generate-check: generate ## Fail if what is generated is not what is committed
	@test -z "$$(git status --porcelain $(GENERATED))" || { git status --short $(GENERATED); \
	  git --no-pager diff $(GENERATED); echo "it differs from its source: run make generate and commit it"; exit 1; }

# The contract is compared with the last release before it: the newest tag, or in a clone without tags the commit that
# last changed VERSION, or main as long as there is neither. A release is compared with the one before it, and
# uncommitted changes with the release that is checked out. The imported files are not committed, so both sides get
# the same ones.
CHANGED := $(shell git diff --quiet HEAD -- proto 2>/dev/null || echo yes)
LAST_RELEASE ?= $(shell { \
  git tag --list 'v*' --sort=-version:refname --merged HEAD $(if $(CHANGED),,--no-contains HEAD) | head -n 1 | grep . || \
  git log -1 --format=%H $(if $(CHANGED),HEAD,HEAD^@) -- VERSION | grep . || \
  git rev-parse --verify --quiet main || git rev-parse HEAD; } 2>/dev/null)
breaking: $(BUF) .proto-imports ## Fail if the contract breaks the callers of the last release
	@set -e; old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
	git archive $(LAST_RELEASE) proto buf.yaml | tar -x -C "$$old"; cp -r .proto-imports "$$old"; \
	echo "comparing with $(LAST_RELEASE)"; $(BUF) breaking --against "$$old"

test-sdk: ## Show that Seam's own SDKs cannot tell the REST face from Seam
	python3 clients/seam-sdk/run.py

test-browser: ## Show the same of Seam's JavaScript SDK in a page of headless Chromium, and that the API page works
	python3 clients/seam-sdk/run_browser.py
	python3 clients/seam-sdk/run_docs.py

test-clients: ## Let the client in each language play clients/scenarios.json against the service
	python3 clients/run.py

test-alerts: ## Run the cases of the alert rules
	sh deploy/observability/test_alerts.sh

test-fleet: $(ENVOY) ## Restart, kill, cut off and upgrade replicas behind Envoy under load (3 minutes)
	.tools/envoy/bin/envoy --mode validate --log-level error --config-path deploy/envoy/envoy.yaml
	LAST_RELEASE='$(LAST_RELEASE)' go test -trimpath -tags fleet -count 1 -timeout 10m -v ./service/soak

# Not a part of ci: it needs a cluster. CLUSTER_LOAD is a command that imports an archive of images into its nodes, in
# tools/cluster: 'go tool kind load image-archive', or 'k3s ctr images import'.
test-cluster: image $(LOAD_PACKAGES) ## Run the chart under load in the cluster of KUBECONFIG (CLUSTER_LOAD, 5 minutes)
	VERSION='$(VERSION)' go test -C tools/cluster -count 1 -timeout 15m -v .

test-seam-drift: ## Run the cases of the comparison that seam-drift makes
	node --test --test-reporter=spec tools/seamdrift/compare.test.mjs

# Not a part of ci: it would fail by what Seam publishes and not by what has changed here.
seam-drift: test-seam-drift ## Compare the contract with the newest OpenAPI document that Seam has published on npm
	node tools/seamdrift/main.mjs

# The module of the tests also pins helm.
chart: ## Lint the Helm chart and package it into dist/
	sh tools/chart/package.sh dist

chart-generate: ## Write the table of the chart's README, its schema's descriptions and its golden files
	cd tools/chart && go test -count 1 . -run '^(TestReadme|TestSchema|TestGolden|TestNotes)$$' -update

test-chart: ## Render the chart, refuse invalid values, and start the service as its pods would
	cd tools/chart && go test -count 1 .

ci: generate-check lint breaking build test test-sdk test-browser test-clients test-alerts test-fleet test-seam-drift test-chart test-release ## Everything

# The .proto files that the contract imports, printed from the Go modules that hold them as descriptors.
.proto-imports: tools/go.mod tools/go.sum tools/protoimports/main.go
	rm -rf $@
	go run -C tools ./protoimports ../$@
	touch $@

$(BUF): tools/go.mod tools/go.sum
	go build -C tools -o ../$@ github.com/bufbuild/buf/cmd/buf

$(NODE_TOOLS): tools/node/package.json tools/node/package-lock.json tools/node/.npmrc
	cd tools/node && npm ci
	touch $@

$(ACTIONLINT): tools/release/go.mod tools/release/go.sum
	go build -C tools/release -o ../../$@ github.com/rhysd/actionlint/cmd/actionlint

$(BIN)/govulncheck: tools/release/go.mod tools/release/go.sum
	go build -C tools/release -o ../../$@ golang.org/x/vuln/cmd/govulncheck

# The bill of materials has the hash of what made it.
$(BIN)/cyclonedx-gomod: tools/release/go.mod tools/release/go.sum
	$(RELEASE_GO) build -C tools/release -trimpath -buildvcs=false -o $(CURDIR)/$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

# The zip that it writes has the same bytes only if the same toolchain compresses it.
$(BIN)/goproxy: tools/release/goproxy/main.go tools/release/go.mod tools/release/go.sum
	$(RELEASE_GO) build -C tools/release -trimpath -o $(CURDIR)/$@ ./goproxy

# The stamp is a file of its own, because the venv's python is a link to the machine's.
$(PYTHON_TOOLS): tools/python/requirements.txt
	python3 -m venv --clear .tools/python
	.tools/python/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r $<
	touch $@

$(ENVOY): deploy/envoy/requirements.txt
	python3 -m venv --clear .tools/envoy
	.tools/envoy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r $<
	touch $@

$(LOAD_PACKAGES): clients/python/requirements.txt
	rm -rf $(@D)
	python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes --only-binary=:all: --target $(@D) -r $<
	touch $@

$(LINT): tools/go.mod tools/go.sum
	go build -C tools -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
