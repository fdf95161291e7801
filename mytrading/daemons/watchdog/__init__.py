"""The watchdog daemon: hung processes and a hung supervisor."""
