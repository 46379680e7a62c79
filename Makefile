# Everything that is run here can be run by hand; the commands are in README.md.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Cargo's profile, and what it builds.
PROFILE := release
# The set of tools that a build brings (scripts/tools.sh).
TOOLS := book
PROGRAMS = target/x86_64-unknown-linux-gnu/$(PROFILE)
SYSTEM_PATH := $(PATH)
export PATH = $(CURDIR)/$(PROGRAMS):$(CURDIR)/.tools/bin:$(SYSTEM_PATH)

# The machine of a capture row, and a collector that was installed for it with the capabilities that it needs.
MACHINE ?= host
COLLECTOR := $(or $(QED_COLLECTOR),qed-collector)

.PHONY: help sweep tools test-tools build renderer capture book serve install guide test test-book test-rest browser fuzz lint bench bench-against record \
	workflows targets arm64 ebpf dist dist-reproducible dist-crates dist-chroots release-check release-notes \
	publish-rehearsal book-rehearsal sweep-rehearsal action-rehearsal release-rehearsal row-build row-capture row-check row-redact site-merge site-published site-build site-seal \
	site-verify site-drift shard-capture sweep-record

help: ## show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

tools: ## install what building needs: Debian packages (as root), bpf-linker and mdbook in .tools/
	@scripts/tools.sh book

test-tools: ## install what the tests need besides
	@scripts/tools.sh test

# The tools are built beside the programs, which do not need them: either alone keeps only one processor busy for minutes.
build: ## build the collector and the preprocessor, and the tools beside them
	@scripts/tools.sh $(TOOLS) packages
	@scripts/tools.sh $(TOOLS) & tools=$$!; status=0; \
	(set -x; cargo build --profile $(PROFILE) --workspace $(TARGETS)) || status=$$?; \
	wait $$tools || status=$$?; exit $$status

renderer: ## build what renders a book, and mdbook: this takes neither eBPF nor QEMU
	@scripts/tools.sh render
	cargo build --release --locked -p mdbook-qed

capture: build arm64 ## run the investigation on every machine that book.toml names
	qed-collector capture --book book.toml

book: capture ## capture, build the book, seal and check the site
	mdbook build
	mdbook-qed publish site
	mdbook-qed verify site --evidence .qed/evidence
	@echo "The book is in site/: open $$(find site -maxdepth 2 -name index.html | sort | head -n 1)"

serve: capture ## capture, then serve the book and rebuild it when a chapter changes
	mdbook serve

# Told to mdbook-qed alone, for the workflow of a new book.
install: export QED_BUILT_FROM = $(shell scripts/built-from.sh)
install: build arm64 ## copy the programs and mdbook to ~/.cargo, so that plain `mdbook build` works
	install -D -t "$${CARGO_HOME:-$$HOME/.cargo}/bin" $(PROGRAMS)/qed-collector $(PROGRAMS)/mdbook-qed .tools/bin/mdbook
	install -D target/aarch64-unknown-linux-gnu/$(PROFILE)/qed-collector "$${CARGO_HOME:-$$HOME/.cargo}/lib/qed/qed-collector-aarch64"

record: build arm64 ## record evidence of the guest kernels in recorded/, for machines that cannot capture
	@scripts/tools.sh workflows
	@scripts/record.sh

sweep: build ## capture on a kernel of each series that Debian serves, and record the verdicts in recorded/sweep.json
	$(COLLECTOR) sweep --debuginfo auto
	mdbook-qed since --record

guide: build ## build the author's guide, itself a live book, and check it
	mdbook build guide
	mdbook-qed verify guide/site --evidence guide/.qed/evidence

browser: test-tools book guide ## look at every page of both books in Chromium: overflow, pictures, contrast, accessibility
	QED_SITE=site node --test browser/tests/site.test.mjs
	QED_SITE=guide/site node --test browser/tests/site.test.mjs

fuzz: test-tools ## try arbitrary evidence, claims, paths, investigations and chapters, FUZZ_SECONDS=20 each
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),20)

ebpf: tools ## compile the eBPF programs into collector/ebpf, where the collector's package has them
	cargo run --release -p xtask --features qed-collector/build-ebpf -- ebpf

dist: tools ## build a release in dist/: an archive, a Debian package, install.sh and their digests
	@scripts/tools.sh dist
	scripts/dist/build.sh dist

dist-reproducible: tools ## build a release twice, in two folders, and compare all bytes: takes two release builds
	@scripts/tools.sh dist
	scripts/dist/reproducible.sh

dist-crates: tools ## install both programs from the packages that would be published, without an eBPF toolchain
	scripts/dist/crates.sh

dist-chroots: ## try dist/ in fresh Debian 12 and 13, as root: install, init, build; prints the times, with AGAINST_CLONE=1 against `make book` from a clone
	scripts/dist/chroots.sh $(if $(AGAINST_CLONE),--against-clone)

release-check: ## release: hold the versions of all crates and the changelog to the tag, TAG=v1.2.3
	scripts/dist/check-tag.sh "$(TAG)"

release-notes: ## release: write what the changelog says of the version of TAG to dist/NOTES.md
	scripts/dist/check-tag.sh "$(TAG)" dist/NOTES.md

arm64: ## build the collector for arm64, and install what guests for arm64 need besides (guest:debian-7.3-arm64)
	@scripts/tools.sh arm64
	scripts/arm64.sh $(PROFILE)

targets: renderer ## build what renders a book for arm64 and Windows, run it there (qemu-user, wine), and check it for macOS
	@scripts/tools.sh targets
	scripts/targets.sh

workflows: ## check the workflows: schema, security, expressions, and that each step is a target of this file
	@scripts/tools.sh workflows
	.tools/workflows/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.tools/workflows/bin/check-jsonschema --builtin-schema vendor.github-actions action.yml
	PATH=$(CURDIR)/.tools/workflows/bin:$$PATH actionlint .github/workflows/*.yml
	.tools/workflows/bin/zizmor --offline --no-progress --persona auditor .github/workflows action.yml
	.tools/workflows/bin/python scripts/workflows/check.py

# Tests want other features of a few dependencies. Built together, everything is compiled once, else twice.
test: TARGETS := --bins --tests
# All that is tested is compiled in this profile, in about half of the time of a release.
test: PROFILE := tested
test: TOOLS := test
test: workflows build ## run every test: the workflows, the book, its looks, mutants of its claims; units, guests; fuzz targets
	@$(MAKE) --no-print-directory --jobs=2 PROFILE=$(PROFILE) TOOLS=$(TOOLS) "TARGETS=$(TARGETS)" test-book test-rest

# The two halves of `test`, beside each other: each waits now and then, for a guest's boot, a browser or a clock. What needs the book's
# evidence, as the mutants of its claims do, is in the first. Neither shows what a program says before it has ended.
test-book: browser
	scripts/run-tests.py $(PROFILE) of mdbook-qed
	scripts/fuzz.sh same

# Tests of guests for arm64 are skipped where the collector for them is not there yet.
test-rest: arm64
	scripts/run-tests.py $(PROFILE) but mdbook-qed

# The eBPF programs are checked as if for this machine, by its own clippy: a compiler for their target brings none. Like in
# collector/build/compile.rs, aya-ebpf uses an unstable feature, and there is nothing to unwind to. The lint of long functions is
# named here because their sources are part of a digest (collector/build/sources.rs), which an attribute in them would change.
EBPF_LINT = RUSTC_BOOTSTRAP=1 RUSTFLAGS='--cfg=bpf_target_arch="x86_64"' CARGO_PROFILE_RELEASE_PANIC=abort

lint: tools ## format and lint
	@scripts/tools.sh dist
	scripts/long-files.sh
	python3 -m unittest discover --quiet --start-directory scripts/dist
	python3 scripts/dist/licences.py --summary
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --release --workspace --all-targets -- -D warnings
	$(EBPF_LINT) cargo clippy --release --target-dir target/lint-ebpf -p qed-collector-ebpf --features programs --bin qed-ebpf -- \
		-D warnings -W clippy::too_many_lines
	CARGO_TARGET_DIR=$(CURDIR)/target cargo clippy --release --manifest-path fuzz/Cargo.toml --bins --lib -- -D warnings

bench: capture ## print the speed ratios
	cargo bench --workspace

bench-against: tools ## print the ratios of all benches to those of another build, REVISION=..., side by side in one run
	scripts/bench-against.sh $(REVISION) $(ROUNDS)

# The steps of .github/workflows/publish.yml, in its order. First those of a row of its matrix, on MACHINE.

row-build: $(if $(QED_COLLECTOR),renderer,build $(if $(filter %-arm64,$(MACHINE)),arm64)) ## publish: build what captures on MACHINE and judges; with QED_COLLECTOR only the latter

row-capture: ## publish: capture on MACHINE
	rm -rf .qed/evidence outgoing
	$(COLLECTOR) capture --on "$(MACHINE)"

row-check: ## publish: judge the claims on what was captured
	mdbook-qed check

row-redact: ## publish: write what may leave this machine to outgoing/, and look for leaks in it
	mdbook-qed redact outgoing --machine "$(MACHINE)"

site-merge: ## publish: take over what the rows handed over in incoming/
	mdbook-qed merge incoming

site-published: ## publish: fetch the history and the evidence that were published last
	@scripts/published.sh

site-build: ## publish: build the book from what was taken over
	MDBOOK_PREPROCESSOR__QED__CAPTURE=never mdbook build

site-seal: ## publish: add evidence, claims, verdicts, history and manifest to the site
	mdbook-qed publish site

site-verify: ## publish: check the site as any reader can
	mdbook-qed verify site

site-drift: ## publish: say what changed since the last publication, in the summary of the job
	@scripts/drift.sh

# The steps of .github/workflows/sweep.yml that publish.yml does not have.

shard-capture: ## sweep: capture the part SHARD of the series, such as 2/5; of SERIES="6.1 6.12" only
	rm -rf outgoing
	$(COLLECTOR) sweep --debuginfo auto --shard "$(SHARD)" $(foreach one,$(SERIES),--series $(one)) -o outgoing

sweep-record: ## sweep: record the verdicts on the kernels of the sweep in recorded/sweep.json
	mdbook-qed since --record

publish-rehearsal: tools ## do all that publish.yml does, on this machine; ends with a verified site in .rehearsal/deployed
	@scripts/tools.sh workflows
	.tools/workflows/bin/python scripts/workflows/rehearse.py

book-rehearsal: build ## do all that the workflow of a new book does, on this machine; ends with a verified site in .rehearsal/book/deployed
	@scripts/tools.sh workflows
	.tools/workflows/bin/python scripts/workflows/rehearse.py book

sweep-rehearsal: export SERIES := $(or $(SERIES),6.1 6.12)
sweep-rehearsal: build ## do all that sweep.yml does, on this machine, on the kernels of SERIES; ends with .rehearsal/sweep/sweep.json
	@scripts/tools.sh workflows
	.tools/workflows/bin/python scripts/workflows/rehearse.py sweep

action-rehearsal: build ## do what action.yml does on a runner, on new books, and the workflow that `init` writes: with a good release, a changed one, without QEMU; DIST=FOLDER of a release
	@scripts/tools.sh workflows
	@scripts/tools.sh dist
	.tools/workflows/bin/python scripts/workflows/rehearse.py action

# With programs, nothing has to be built: those that are not tested here.
release-rehearsal: $(if $(RELEASE_PROGRAMS),,tools) ## do all that release.yml does, on made-up tags; RELEASE_PROGRAMS=FOLDER: pack those instead of linting, testing and building
	@scripts/tools.sh workflows
	@scripts/tools.sh dist
	.tools/workflows/bin/python scripts/workflows/rehearse.py release
