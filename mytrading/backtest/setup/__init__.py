"""Preparation of a run from the command's options: data, legs, parameters."""
