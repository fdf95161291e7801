"""`mytrading webhook`: the alerts that this machine takes over HTTP."""
