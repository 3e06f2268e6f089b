"""Pictures of the pages and of the terminal, for tools/make_screenshots.py."""
