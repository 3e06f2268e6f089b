"""Who does the work and where: this process, or many through Ray; and which part is ours."""
