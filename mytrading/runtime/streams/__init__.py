"""ZeroMQ streams between processes and the operator socket."""
