"""The reconciler daemon: broker books read on a plan."""
