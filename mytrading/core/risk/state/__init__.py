"""The state of risk: folds of rows, day carry, close commands."""
