"""Commands on orders, positions, risk and margin of a running stack."""
