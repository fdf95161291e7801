"""Settings: `.env`, `config/*.toml` and the environment become one validated `TradingSettings`."""
