"""Checking every file and row of a store, and repairing what is damaged."""
