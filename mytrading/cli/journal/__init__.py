"""The command journal, and the reading of journals that others need."""
