"""Parts that all processes share: poll loop, journals, streams, recovery, supervision, logs and clocks."""
