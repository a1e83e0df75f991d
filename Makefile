# make demo      decode a shipped capture, from nothing but python3, pip and make
# make test      check and test everything; as root it installs the system packages the tests use
# make test-all  the tests on every CPython from 3.11 to 3.13 this machine has
# make dissector-matrix  try the Wireshark plugin in the releases of six distributions; as root, downloads about 1 GB
# make docs      build the documentation    make bench  measure    make generate  rewrite generated files
# make fuzz      the C code under a fuzzer, 10 minutes (SECONDS=n), with clang

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SECONDS ?= 600
CLANG ?= clang
CAPTURE := pcaps/trace2/trace2.pcap

# Debian's python3 has no ensurepip, so the environment is made without pip and filled by the pip that is there.
PIP := $(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet

.PHONY: demo test test-all check pytest dissector-matrix docs bench fuzz generate system-packages clean

demo: $(VENV)/.demo
	$(BIN)/tiopt decode $(CAPTURE)

test: system-packages check pytest

check: $(VENV)/.test
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tioption.generate --check
	$(BIN)/python pcaps/make.py --check

pytest: $(VENV)/.test
	$(BIN)/python -m pytest -n auto

test-all: system-packages
	@found=; for version in 3.11 3.12 3.13; do \
	  for python in "$$(command -v python$$version)" "$$HOME"/.pyenv/versions/$$version*/bin/python; do \
	    [ -n "$$python" ] && "$$python" -c 'import venv' 2>/dev/null || continue; \
	    found="$$found $$version"; echo "== CPython $$version"; \
	    $(MAKE) --no-print-directory pytest VENV=.venv-$$version INTERPRETER="$$python" || exit 1; \
	    break; \
	  done; \
	done; echo "tested on CPython$$found"; [ -n "$$found" ]

# What is downloaded stays in a scratch folder, for the next time, until make clean.
dissector-matrix: $(VENV)/.test
	@command -v debootstrap >/dev/null || [ "$$(id -u)" != 0 ] || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
	$(BIN)/python -m tests.matrix

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Against peers, from an installation as users have it: an editable one starts more slowly.
bench: $(VENV)-bench/.bench
	rm -f build/bench/results.jsonl
	$(VENV)-bench/bin/python -m bench.startup
	$(VENV)-bench/bin/python -m bench.codec
	$(VENV)-bench/bin/python -m bench.decode
	$(VENV)-bench/bin/python -m bench.validate
	$(VENV)-bench/bin/python -m bench.folder
	$(VENV)-bench/bin/python -m bench.dissector
	$(VENV)-bench/bin/python -m bench.scale
	$(VENV)-bench/bin/python -m bench.page

# The C code under a fuzzer with sanitizers, for SECONDS each.
fuzz: $(VENV)/.test
	SECONDS=$(SECONDS) PYTHON=$(BIN)/python CLANG=$(CLANG) tests/fuzz/run

generate: $(VENV)/.test
	$(BIN)/python -m tioption.generate
	$(BIN)/python pcaps/make.py

INTERPRETER ?= $(PYTHON)
$(BIN)/python:
	$(INTERPRETER) -m venv --without-pip $(VENV)

C_SOURCES := $(wildcard tioption/*/*.c tioption/*/*.h)

# Compiled ahead, so that the first run starts as quickly as any.
$(VENV)/.demo: $(BIN)/python pyproject.toml $(C_SOURCES)
	$(PIP) --editable .
	$(BIN)/python -m compileall -q tioption
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml $(C_SOURCES)
	$(PIP) --editable '.[test]'
	$(BIN)/python -m compileall -q tioption
	@touch $@ $(VENV)/.demo

SOURCES := $(shell find tioption -name '*.py') $(C_SOURCES)

$(VENV)-bench/.bench: pyproject.toml $(SOURCES)
	[ -x $(VENV)-bench/bin/python ] || $(INTERPRETER) -m venv --without-pip $(VENV)-bench
	$(PYTHON) -m pip --disable-pip-version-check --python $(VENV)-bench/bin/python install --quiet '.[bench]'
	$(VENV)-bench/bin/python -m compileall -q $(VENV)-bench/lib
	@touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml
	$(PIP) --editable '.[docs]'
	@touch $@

# The peers of the live tests, and what builds the C code. Without root they are used where they are and their tests skip
# where they are not.
PYTHON_H := import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
system-packages:
	@missing=; for program in tshark capinfos tcpdump ip nft git patch cc iptables curl ssh sshd nc iperf3; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	$(PYTHON) -c '$(PYTHON_H)' || missing="$$missing Python.h"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    tshark tcpdump iproute2 nftables git patch gcc libc6-dev python3-dev \
	    iptables curl openssh-client openssh-server netcat-openbsd iperf3 >/dev/null; \
	else \
	  echo "not installed, their tests will be skipped:$$missing"; \
	fi

clean:
	rm -rf .venv .venv-* build dist docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf "$${TMPDIR:-/tmp}/tiopt-dissector-matrix"
