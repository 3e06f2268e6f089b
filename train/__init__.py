"""The student learns from the store; the command `train`."""
