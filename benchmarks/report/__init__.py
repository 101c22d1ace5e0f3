"""BENCHMARKS.md: what the benches found last, for people who read before they run."""
