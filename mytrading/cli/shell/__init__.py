"""Parts that all commands share: output, completion, terminal, the stack or server to talk to."""
