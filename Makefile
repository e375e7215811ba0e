# A list of the targets: make help
.DEFAULT_GOAL := help
PYTEST := .venv/bin/python -m pytest

.PHONY: help setup demo test test-long test-fresh e2e bench lint fmt docs wheel dist dist-oldest clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with .venv/bin/bundlegen; as root, install missing Debian packages
	@.ci/setup dev

demo: ## build the bundles of examples/three-hosts.yaml into out/
	@.ci/setup demo
	.venv/bin/bundlegen build examples/three-hosts.yaml

test: ## every test: the quick ones in parallel, then end to end
	@.ci/setup test
	@.ci/test

test-long: ## make test with its full figures: before a release
	@.ci/setup test
	@.ci/test --long

test-fresh: ## make demo and make test in bare root file systems of Debian 12 and 13 (needs root; takes an hour)
	@.ci/fresh

e2e: ## boot three hosts, run the bundles on them (needs root)
	@.ci/setup test
	$(PYTEST) -n 2 --dist loadfile tests/e2e

bench: ## measure against doing it by hand
	@.ci/setup dev
	.venv/bin/python -m tests.bench

lint: ## ruff, mypy, shellcheck and shfmt, house rules
	@.ci/setup dev
	$(PYTEST) tests/lint

fmt: ## put Python and shell into the house format
	@.ci/setup dev
	.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .
	shfmt -l -w .ci templates/install tests

docs: ## rewrite the tables in docs/ that are made from tables of the program
	@.ci/setup dev
	.venv/bin/python -m tests.generated

wheel: ## build out/dist/bundlegen-….whl (the same bytes every time)
	@.ci/setup dev
	rm -rf build out/dist
	umask 022 && SOURCE_DATE_EPOCH=315532800 .venv/bin/python -m pip -q wheel --no-deps --no-build-isolation -w out/dist .

dist: ## build dist/bundlegen-…-linux-…: bundlegen as one file that needs no Python
	@.ci/setup dev
	.ci/dist

dist-oldest: ## dist/ for older systems: made in Debian 11, tried in bare Debian 11 and 12 (root; minutes the first time)
	@.ci/setup test
	.ci/dist-oldest
	.ci/try-bare dist/bundlegen-*-linux-$$(uname -m) bullseye bookworm

clean: ## remove what make and the tests left; never bundles, a PKI store or .venv
	rm -rf build dist out/dist bundlegen.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find bundlegen tests templates -name __pycache__ -type d -prune -exec rm -rf {} +
