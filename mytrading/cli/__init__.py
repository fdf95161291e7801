"""The command line: typer, one file per group of commands. Nothing heavy loads before a command needs it."""
