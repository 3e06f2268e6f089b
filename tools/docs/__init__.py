"""Pages of the documentation that are laid out from the code, for tools/make_docs.py."""
