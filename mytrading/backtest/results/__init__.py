"""Results of a run: output files, metrics in words and the report."""
