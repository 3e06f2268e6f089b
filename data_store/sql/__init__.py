"""The user's own queries: what may run, how it runs, how its result is printed."""
