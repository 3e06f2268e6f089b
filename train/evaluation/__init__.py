"""How well scores agree with people, and how sure that is."""
