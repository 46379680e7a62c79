# Everything that is run here can be run by hand; the commands are in README.md.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

RELEASE := target/x86_64-unknown-linux-gnu/release
export PATH := $(CURDIR)/$(RELEASE):$(CURDIR)/.tools/bin:$(PATH)

.PHONY: help tools test-tools build capture book serve install guide test browser fuzz lint bench

help: ## show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

tools: ## install what building needs: Debian packages (as root), bpf-linker and mdbook in .tools/
	@scripts/tools.sh book

test-tools: ## install what the tests need besides
	@scripts/tools.sh test

build: tools ## build the collector and the preprocessor
	cargo build --release --workspace $(TARGETS)

capture: build ## run the investigation on every machine that book.toml names
	qed-collector capture --book book.toml

book: capture ## capture, build the book, seal and check the site
	mdbook build
	mdbook-qed publish site
	mdbook-qed verify site --evidence .qed/evidence
	@echo "The book is in site/: open $$(find site -maxdepth 2 -name index.html | sort | head -n 1)"

serve: capture ## capture, then serve the book and rebuild it when a chapter changes
	mdbook serve

install: build ## copy both programs and mdbook to ~/.cargo/bin, so that plain `mdbook build` works
	install -D -t "$${CARGO_HOME:-$$HOME/.cargo}/bin" $(RELEASE)/qed-collector $(RELEASE)/mdbook-qed .tools/bin/mdbook

guide: build ## build the author's guide, itself a live book, and check it
	mdbook build guide
	mdbook-qed verify guide/site --evidence guide/.qed/evidence

browser: test-tools book guide ## look at every page of both books in Chromium: overflow, pictures, contrast, accessibility
	QED_SITE=site node --test browser/tests/site.test.mjs
	QED_SITE=guide/site node --test browser/tests/site.test.mjs

fuzz: test-tools ## try arbitrary evidence, claims, paths, investigations and chapters, 20 seconds each
	scripts/fuzz.sh

# Tests want other features of a few dependencies. Built together, everything is compiled once, else twice.
test: TARGETS := --bins --tests
test: browser ## run every test: the book, its looks, mutants of its claims; units, guests; fuzz targets
	cargo test --release --workspace
	scripts/fuzz.sh

lint: tools ## format and lint
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --release --workspace --all-targets -- -D warnings

bench: build ## print the speed ratios
	cargo bench --workspace
