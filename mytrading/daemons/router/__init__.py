"""The order router daemon."""
