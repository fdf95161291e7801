"""The same machines in a for-loop: history in, trades, money and a report out."""
