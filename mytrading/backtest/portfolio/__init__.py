"""Several strategies over one capital: prepared, taken apart by strategy, reported."""
