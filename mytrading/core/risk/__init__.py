"""Risk: intents into sized orders or denials, limits with memory, and every exit rule; `machine.Risk` is its door."""
