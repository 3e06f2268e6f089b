"""The teacher writes: points and pairs into the store; the command `annotate`."""
