"""Using a trained student: scores of images, and files that run elsewhere."""
