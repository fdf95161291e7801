"""Golden bytes of every message, so that a change of layout is seen."""
