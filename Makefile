# make run    installs what is missing, builds, and serves a meeting page on http://127.0.0.1:8080
# make test   every test
# make lint   format, layers, file sizes
# make fuzz   every fuzzer, SECONDS=60 each
# make format swift-format in place
# make bench  benchmarks
# make floor  the server's hot path against the least that C can do; on an idle machine: docs/performance.md
# make scaling  whether two media workers forward twice what one does; on an idle machine: docs/performance.md
# make sim    congestion control in simulated networks, against other systems: docs/congestion-results.md
.PHONY: run build test lint format fuzz bench floor scaling sim build-dependencies test-dependencies
SHELL := /bin/bash
SECONDS ?= 60

run: build
	exec .build/release/sluice serve --dev $(ARGUMENTS)

build: build-dependencies
	swift build -c release --product sluice

test: test-dependencies
	scripts/test

lint:
	scripts/lint

fuzz: build-dependencies
	scripts/fuzz $(SECONDS)

bench: build-dependencies
	Benchmarks/run.sh

floor: build-dependencies
	Benchmarks/floor.sh

scaling: build-dependencies
	Benchmarks/scaling.sh

sim: build-dependencies
	swift run -c release simulation --output docs/congestion-results.md

build-dependencies:
	@scripts/install-dependencies build

test-dependencies:
	@scripts/install-dependencies test

format:
	swift format --in-place --parallel --recursive Package.swift Sources loadtest Tests --configuration .swift-format
