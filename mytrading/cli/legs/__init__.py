"""The command legs: strategies without code, from templates, shown with their prices."""
