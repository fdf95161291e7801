"""Options: chains and strikes, prices, volatilities, greeks, and payoffs of legs."""
