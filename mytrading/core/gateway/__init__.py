"""Gateway decisions: levels and alerts, the read model, outcomes of signals and requests."""
