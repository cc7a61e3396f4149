# The desk. `make run` and `make test` are all a newcomer needs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
DEMO_DIR ?= target/demo-data
RUN_FLAGS ?=
PROFILE ?= release

.PHONY: run test check bench conformance clients faults fuzz web fmt lint tidy e2e-setup chromium

run: web ## build everything and start a server with live demo traffic; prints the login URL
	cargo build --locked --$(PROFILE) -p server
	rm -rf $(DEMO_DIR)
	target/$(PROFILE)/tracehound serve --demo --data-dir $(DEMO_DIR) $(RUN_FLAGS)

web: web/dist/index.html ## the web UI, embedded in the binary at the next build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error

web/dist/index.html: web/node_modules/.package-lock.json $(shell find web/src web/public web/index.html -type f 2>/dev/null)
	cd web && npm run --silent build

chromium:
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

e2e-setup: chromium
	tests/e2e/setup.sh

test: web e2e-setup ## every test, with what it needs
	cd web && npm run --silent check
	RUST_TEST_THREADS=1 cargo test --locked --workspace

check: fmt lint test ## what CI runs

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --locked --workspace --all-targets -- -D warnings

tidy:
	cargo test --locked -p tests --test tidy

bench: ## ingest under load, overload, side by side with the Collector, ...; prints tables (release build, loopback only)
	tests/e2e/setup.sh go
	cargo build --locked --release -p server
	cargo run --locked --release -p tests --bin bench

clients: e2e-setup ## every OpenTelemetry client through a restart: prints sent and stored
	cargo test --locked --workspace --test e2e --test binary --no-run
	RUST_TEST_THREADS=1 cargo test --locked --workspace --test e2e clients -- --nocapture

# what the tests said is in target/conformance.log
conformance: ## the 70 checks of docs/guides/otlp.md, and what rules say beside other engines, one line each
	cargo test --locked --workspace --no-run
	cargo test --locked --workspace --test oracles -- --nocapture | grep -E '^(rules|skipped|test .*FAILED)'
	{ cargo test --locked --workspace --no-fail-fast -- otlp_ || true; } 2>&1 | target/debug/conformance 2>target/conformance.log

faults: fuzz ## the full form of docs/faults.md: kills, power cuts, full disks, damage, ...; 10,000 malformed requests; abuse of HTTP/2; fuzzing
	cargo build --locked --release -p server
	cargo test --locked --workspace --no-run
	tests/faults/released.sh
	TRACEHOUND_FAULTS=full cargo test --locked --workspace --test it --test store -- --nocapture
	TRACEHOUND_MALFORMED=10000 cargo test --locked --workspace --test e2e malformed -- --nocapture --test-threads=1
	TRACEHOUND_HOSTILE=full cargo test --locked --workspace --test e2e hostile -- --nocapture
	cargo test --locked --workspace --test e2e abuse -- --nocapture --test-threads=1

FUZZ_SECS ?= 60

fuzz: ## every fuzz target for FUZZ_SECS seconds, from the committed corpora
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	cd tests/fuzz && for target in protobuf json inflate grpc frames; do \
		mkdir -p target/found/$$target; \
		cargo fuzz run -s none $$target target/found/$$target corpus/$$target -- \
			-max_total_time=$(FUZZ_SECS) -timeout=10 -rss_limit_mb=2048 -max_len=4096; \
	done
