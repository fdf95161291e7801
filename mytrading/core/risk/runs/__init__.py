"""Runs of strategies: what each holds, when it may enter, and what ends it or a leg of it."""
