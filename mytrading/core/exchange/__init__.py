"""The paper exchange: matching engine and books, shared by the simulator and the backtest."""
