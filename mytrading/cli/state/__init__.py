"""The command state: the folder of all that outlives the processes, its copies and its upgrades."""
