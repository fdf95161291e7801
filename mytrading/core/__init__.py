"""Decisions without clocks, files or sockets: the machines of the processes, and the parts that they share."""
