"""The command why: the chain behind an order, in words."""
