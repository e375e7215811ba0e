"""Real test hosts for pytest: see tests/e2e/README.md."""
