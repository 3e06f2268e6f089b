"""Tuning: a teacher learns to say scores, from opinions, after Q-Scorer."""
