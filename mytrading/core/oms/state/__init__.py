"""State of the order machine: tables, folds, one decision under way, settings."""
