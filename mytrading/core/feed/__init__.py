"""What the feed decides: which source serves, which quotes are good, and who wants which instruments."""
