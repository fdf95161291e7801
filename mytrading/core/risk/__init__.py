"""Risk: intents into sized orders or denials, limits with memory, every exit rule; `machine.RiskMachine` joins them."""
