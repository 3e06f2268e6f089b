"""How far two sets of numbers agree: pure maths that reports and the trainer share."""
