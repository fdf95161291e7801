"""History for a run: bars from files or the warehouse, as columns."""
