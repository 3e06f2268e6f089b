"""Readouts: from what a store keeps of a teacher's answers to scores on the scale of opinions."""
