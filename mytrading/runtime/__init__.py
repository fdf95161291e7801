"""What every process shares: poll loop, journals, streams, recovery, supervision, logs and clocks."""
