"""Books of risk: positions, orders, intents and the market around them."""
