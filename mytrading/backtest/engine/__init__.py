"""The loops over history: bars in, orders, fills and the ledger out."""
