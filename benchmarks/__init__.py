"""What we measure, beside whom: `make bench` runs all of it and writes `docs/performance.md`."""
