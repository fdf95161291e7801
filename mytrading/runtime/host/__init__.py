"""The machine beneath: clock, paths, run key, loading of author files."""
