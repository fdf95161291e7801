"""Repository tools, not part of the wheel: benchmarks and chaos runs."""
