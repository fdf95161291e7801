"""The command account: the file of accounts, their keys and their checks."""
