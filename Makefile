# `make` alone prints the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run crashes field hostile-soak receiver picture-receiver picture-console manifests reference test test-broker run-broker-suites test-deploy test-compose chaos chaos-short chaos-order chaos-lanes chaos-programs debug-programs soak bench bench-micro instructions instructions-renew instructions-program fuzz fuzz-parsers lint language circles dependencies fmt purity build install

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# RabbitMQ of tests and benchmarks: 4.3, or the one of the distribution (system).
RABBITMQ ?= 4.3
# Property tests repeat the same cases, so that a change alone makes them fail. `make fuzz` draws new ones.
FIXED_CASES := PROPTEST_RNG_SEED=1
# Cases of the fuzz tests, as a multiple of those in `make test`.
FUZZ_FACTOR ?= 50
# Nodes of the broker of `chaos-order` and `chaos-lanes`, 1 or 3; `chaos-order` without a broker: 0.
NODES ?= 1
# Length of `soak`, and its events per second (default: half of what the machine delivers).
SOAK_MINUTES ?= 120
SOAK_RATE ?=
ON_BROKER := WAHOOK_TEST_RABBITMQ=$(RABBITMQ)
IN_MEMORY := WAHOOK_TEST_SERVER_FOLDERS=$(shell tools/server_folders.sh)
ON_PROGRAMS := WAHOOK_TEST_PROGRAMS=$(abspath $(TARGET_DIR))/debug
# With MongoDB support of `wahook`, which `cargo run` omits.
PROGRAMS := --package wahook-producer --package wahook-consumer --package wahook-receiver --package wahook-console --package wahook \
  --features wahook/mongodb

# The domain crate is pure: no dependency that waits, connects or serves.
IMPURE := tokio|lapin|reqwest|mongodb|hyper|axum|futures|async|mio|socket2|tracing|prometheus|rand

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start RabbitMQ, MongoDB, a test receiver, consumer and producer on this machine
	@deploy/local/install.sh
	$(CARGO) build --release --bins $(PROGRAMS) --package wahook-tools
	@exec $(TARGET_DIR)/release/wahook-local

receiver: ## Start the test receiver, with its page on http://127.0.0.1:4000
	$(CARGO) build --release --package wahook-receiver
	@exec $(TARGET_DIR)/release/wahook-receiver

picture-receiver: ## Redraw docs/receiver.png in a real browser
	@deploy/local/install.sh browser
	WAHOOK_PICTURE=$(CURDIR)/docs/receiver.png $(CARGO) test --package wahook-tests --test receiver_page picture

picture-console: ## Redraw docs/console.png, console-detail.png and console-endpoints.png in a real browser
	@deploy/local/install.sh browser node
	WAHOOK_PICTURES=$(CURDIR)/docs $(CARGO) test --package wahook-tests --test console_page DataFile::picture

manifests: ## Write what deploy/ generates: dashboards, docs/alerts.md, copies in the chart, deploy/kubernetes
	@deploy/local/install.sh kubernetes helm
	python3 deploy/grafana/dashboards.py
	PYTHONPATH=.local/kubernetes python3 deploy/prometheus/runbooks.py
	PYTHONPATH=.local/kubernetes:.local/helm python3 deploy/helm/render.py

reference: ## Write .env.example and the tables of docs/configuration.md from the declared settings
	$(CARGO) run --package wahook-tools --bin wahook-reference

test: install lint purity debug-programs ## Run all checks: format, language, lints, purity, all tests
	$(ON_BROKER) $(IN_MEMORY) $(FIXED_CASES) $(ON_PROGRAMS) tools/suites.py --workspace --features wahook/mongodb
	$(CARGO) test --doc --workspace --features wahook/mongodb
	$(CARGO) test --package wahook-failpoint --features armed

test-broker: install debug-programs ## Run the suites that use RabbitMQ, on the one of the distribution
	$(MAKE) run-broker-suites RABBITMQ=system

run-broker-suites:
	$(ON_BROKER) $(IN_MEMORY) $(FIXED_CASES) $(ON_PROGRAMS) tools/suites.py --workspace --features wahook/mongodb \
	  --test harness --test queue_conformance --test order --test faults --test endpoints --test pair

# One build for programs and tests: two would compile many dependencies twice, with other features.
debug-programs:
	$(CARGO) build --workspace --bins --tests --features wahook/mongodb

crashes: ## Kill the single process 200 times under load and count lost events (some minutes)
	WAHOOK_KILLS=200 $(CARGO) test --package wahook-tests --test standalone crashes -- --nocapture

hostile-soak: install debug-programs ## Run the worst inputs for ten minutes under the shipped memory limits
	$(ON_BROKER) $(ON_PROGRAMS) WAHOOK_SOAK_SECONDS=600 $(CARGO) test --workspace \
	  --features wahook/mongodb --test receiver_table hostile_soak -- --nocapture

field: debug-programs ## Run the long forms of field faults (10 minutes, little work)
	$(ON_PROGRAMS) $(TARGET_DIR)/debug/wahook-field

chaos: chaos-programs ## Run the fault matrix under load and count lost events (half an hour)
	$(ON_BROKER) WAHOOK_TEST_PROGRAMS=$(TARGET_DIR)/chaos $(TARGET_DIR)/debug/wahook-chaos --write docs/reliability/faults.md

chaos-short: chaos-programs ## Run the short form of the fault matrix (8 minutes)
	$(ON_BROKER) $(IN_MEMORY) WAHOOK_TEST_PROGRAMS=$(TARGET_DIR)/chaos $(TARGET_DIR)/debug/wahook-chaos --short

chaos-order: chaos-programs ## Deliver 100,000 ordered events while consumers and brokers are killed (NODES=3: a cluster; NODES=0: one process)
	$(ON_BROKER) WAHOOK_TEST_PROGRAMS=$(TARGET_DIR)/chaos $(TARGET_DIR)/debug/wahook-chaos --order $(if $(filter 0,$(NODES)),--one-process,--nodes $(NODES))

chaos-lanes: chaos-programs ## Measure takeover, balance and blocked chats of lanes, and cut owners off (8 minutes; NODES=3 parts a cluster)
	$(ON_BROKER) WAHOOK_TEST_PROGRAMS=$(TARGET_DIR)/chaos $(TARGET_DIR)/debug/wahook-chaos --lanes --nodes $(NODES) --write docs/reliability/faults.md

# Built with failpoints, separate from the release build.
chaos-programs: install debug-programs
	$(CARGO) build --profile chaos --bins $(PROGRAMS) --features wahook-producer/failpoints,wahook-consumer/failpoints

soak: install ## Run at half load for two hours with failures, reloads and reconnects (SOAK_MINUTES=20 for less)
	$(CARGO) build --release --bins $(PROGRAMS) --package wahook-tools
	$(ON_BROKER) WAHOOK_TEST_PROGRAMS=$(TARGET_DIR)/release $(TARGET_DIR)/release/wahook-soak --minutes $(SOAK_MINUTES) \
	  $(addprefix --rate ,$(SOAK_RATE)) --samples $(TARGET_DIR)/soak.csv --write docs/performance

bench: install ## Measure the programs against the floor; writes docs/performance/benchmarks.md
	$(CARGO) build --release --bins $(PROGRAMS) --package wahook-bench
	$(ON_BROKER) WAHOOK_TEST_PROGRAMS=$(TARGET_DIR)/release $(TARGET_DIR)/release/wahook-bench --write docs/performance/benchmarks.md

bench-micro: ## Time each step of processing a message (two minutes after the build)
	$(CARGO) bench --profile chaos --package wahook-bench --bench message

instructions: instructions-program ## Count the instructions of one event; fails at 5 % off the committed figures
	$(TARGET_DIR)/chaos/wahook-instructions check bench/instructions.toml

instructions-renew: instructions-program ## Rewrite bench/instructions.toml
	$(TARGET_DIR)/chaos/wahook-instructions renew bench/instructions.toml

# Optimised, but without link-time optimisation, which takes minutes. Without failpoints.
instructions-program:
	@deploy/local/install.sh valgrind
	$(CARGO) build --profile chaos --package wahook-bench --bin wahook-instructions

# Some minutes on two cores. Failing inputs are printed, and kept in proptest-regressions/.
fuzz: install debug-programs ## Fuzz every parser of foreign bytes, 100 times longer than the tests, and compare JSON with node
	$(MAKE) fuzz-parsers FUZZ_FACTOR=100
	WAHOOK_FUZZ_DOCUMENTS=200000 $(CARGO) test --workspace --features wahook/mongodb --test canonical -- --nocapture

fuzz-parsers:
	WAHOOK_FUZZ_FACTOR=$(FUZZ_FACTOR) tools/suites.py --only hostile --workspace --features wahook/mongodb \
	  --lib --test hostile --test ingest

lint: language circles dependencies ## Check the format, the language, circles of files, the dependencies and the lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features wahook/mongodb -- -D warnings
	$(CARGO) clippy --package wahook -- -D warnings
	$(CARGO) clippy --package wahook-failpoint --features armed --all-targets -- -D warnings

language: ## Check the language of comments, documents and commit titles
	@python3 tools/language.py

circles: ## Check that no files of a crate import each other in a circle
	@python3 tools/module_cycles.py

dependencies: ## Check licences, sources and bans of all crates (deny.toml), and Cargo.lock against security advisories
	@deploy/local/install.sh deny
	@.local/deny/bin/cargo-deny --all-features --log-level error check bans licenses sources
	@python3 tools/advisories.py --test
	@python3 tools/advisories.py

purity: ## Check that the domain crate has no I/O and builds alone, and that wahook builds without MongoDB
	$(CARGO) check --package wahook-domain
	@tree=$$($(CARGO) tree --package wahook-domain --edges normal --prefix none); \
	if grep -E '^($(IMPURE))([-_ ]|$$)' <<<"$$tree"; then \
	  echo "wahook-domain must not depend on the crates above" >&2; exit 1; \
	fi
	@tree=$$($(CARGO) tree --package wahook --edges normal --prefix none); \
	if grep -E '^(mongodb|bson|wahook-mongo-log) ' <<<"$$tree"; then \
	  echo "wahook must not depend on the crates above without its feature mongodb" >&2; exit 1; \
	fi

fmt: ## Format the code
	$(CARGO) fmt --all

build: ## Build the programs for production, with link-time optimisation, into target/dist
	$(CARGO) build --profile dist --bins $(PROGRAMS)

test-deploy: ## Test deploy/: dashboards and alerts with Prometheus 2 and 3, Helm chart, manifests
	@deploy/local/install.sh rabbitmq4 mongod prometheus prometheus3 picture kubernetes helm
	for promtool in promtool .local/prometheus3/bin/promtool; do \
	  $$promtool check config deploy/prometheus/prometheus.yml; \
	  $$promtool check rules deploy/prometheus/rules/*.yml; \
	  $$promtool test rules deploy/prometheus/tests/*.yml; \
	done
	PYTHONPATH=.local/kubernetes python3 deploy/prometheus/runbooks.py --check
	python3 deploy/grafana/dashboards.py --check
	PYTHONPATH=.local/kubernetes python3 deploy/kubernetes/check.py
	PYTHONPATH=.local/kubernetes:.local/helm python3 deploy/helm/render.py --check
	@$(MAKE) debug-programs
	$(ON_BROKER) WAHOOK_TEST_PROGRAMS=$(abspath $(TARGET_DIR))/debug $(TARGET_DIR)/debug/wahook-deploy-proof --data $(TARGET_DIR)/deploy-proof.json
	PYTHONPATH=.local/picture python3 deploy/grafana/picture.py $(TARGET_DIR)/deploy-proof.json $(TARGET_DIR)/dashboard.png

test-compose: ## Test images and docker-compose.yml with a real Docker Engine (root, some minutes)
	@deploy/local/install.sh mongod docker
	tests/compose/run.sh

install: ## Install missing servers and tools for the tests
	@deploy/local/install.sh rabbitmq rabbitmq4 mongod node python schemathesis browser flask php go
