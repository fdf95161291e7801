"""The processes of a stack, a folder each; `daemon.py` shows how its streams, machine and timers are connected."""
