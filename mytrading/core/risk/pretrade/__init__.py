"""The pre-trade rules, one pure function each; `table` holds their order."""
