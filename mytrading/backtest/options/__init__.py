"""Option legs in a backtest: recorded chains, priced quotes and the loop over them."""
