"""Commands that run strategies over history: backtest, check, optimize, walk-forward."""
