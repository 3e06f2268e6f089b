"""How the tiny teacher is trained and measured; the commands are one folder up."""
