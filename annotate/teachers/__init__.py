"""The engines that run a teacher, behind one protocol."""
