# One machine, one command each. `sudo make up` needs nothing but Debian (or Ubuntu) and cargo.
SHELL := /bin/sh
TRIPLE := $(shell uname -m)-unknown-linux-gnu
# The executable runs inside pods as well, where there are no libraries.
STATIC := RUSTFLAGS='-C target-feature=+crt-static'
BINARY := target/release/ferrokube
TRIAL := target/$(TRIPLE)/trial/ferrokube
SIZE_BYTES_MAX := 41943040
# Debian's kubectl gets out of the way of another package's, which serves as well.
PACKAGES := $(filter-out $(if $(shell command -v kubectl),kubernetes-client),$(shell grep -v '^\#' packages.txt))
INSTALLED := $(shell dpkg-query -W -f '$${Package}:$${Status}\n' $(PACKAGES) 2>/dev/null | grep -c ':install ok installed')
# Under sudo, cargo is the caller's.
export PATH := $(PATH):$(HOME)/.cargo/bin:$(if $(SUDO_USER),$(shell getent passwd $(SUDO_USER) | cut -d: -f6)/.cargo/bin)
ifdef SUDO_USER
export RUSTUP_HOME ?= $(shell getent passwd $(SUDO_USER) | cut -d: -f6)/.rustup
export CARGO_HOME ?= $(shell getent passwd $(SUDO_USER) | cut -d: -f6)/.cargo
endif

.PHONY: build up down status test trial bench packages

## Builds target/release/ferrokube: static, stripped, at most 40 MB.
build:
	$(STATIC) cargo build --release --target $(TRIPLE) --package ferrokube
	mkdir -p target/release
	ln -sfn ../$(TRIPLE)/release/ferrokube $(BINARY)
	@size=$$(stat --dereference --format %s $(BINARY)); \
	echo "$(BINARY): $$((size / 1024 / 1024)) MB"; \
	if [ $$size -gt $(SIZE_BYTES_MAX) ]; then echo "error: more than 40 MB" >&2; exit 1; fi

## Brings this machine up as a cluster and shows a Deployment answering. Needs root.
up: packages build
	$(BINARY) up --detach
	$(BINARY) demo

## Stops the cluster; `make down PURGE=1` forgets it.
down:
	$(BINARY) down $(if $(PURGE),--purge)

status:
	$(BINARY) status

## All tests. As root, those that change the machine's network namespaces and run containers take part, and the
## scenarios on whole clusters.
test: packages
	cargo xtask fmt
	cargo xtask tidy
	cargo clippy --workspace --all-targets -- --deny warnings
	@if [ $$(id -u) -eq 0 ]; then $(MAKE) trial; fi
	@export FERROKUBE_BIN=$(TRIAL); if cargo nextest --version >/dev/null 2>&1; then \
	cargo nextest run --workspace; else cargo test --workspace; fi

## The static program as scenarios run it: built quickly, on hosts made of namespaces.
trial:
	$(STATIC) cargo build --profile trial --target $(TRIPLE) --package ferrokube

## Measures the release build: `make bench ROWS="A1 C1 --pairs 2"`; beside the original with REFERENCE_BIN=DIR.
bench: build
	cargo xtask bench $(ROWS)

## What Debian brings: the container runtime and the C compiler of our cryptography.
packages:
	@if [ "$(INSTALLED)" -lt "$(words $(PACKAGES))" ]; then \
	if [ $$(id -u) -ne 0 ]; then echo "error: needs root once, to install: $(PACKAGES)" >&2; exit 1; fi; \
	apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(PACKAGES); fi
