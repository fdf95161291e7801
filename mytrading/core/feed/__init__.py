"""The feed's decisions: the source that serves, the quotes that are good, and the instruments in demand."""
