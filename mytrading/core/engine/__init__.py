"""Engine decisions: strategies host, signals gated, contracts selected."""
