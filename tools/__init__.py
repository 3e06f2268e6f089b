"""Tools that make what the repository ships or shows: the tiny teacher and the demo images."""
