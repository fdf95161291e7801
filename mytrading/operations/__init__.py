"""Work on stored state: verification and repetition of journals, backup, upgrade, day close."""
