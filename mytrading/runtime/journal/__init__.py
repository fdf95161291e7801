"""The journal of a daemon: rows, day files, readers and the disk reserve."""
