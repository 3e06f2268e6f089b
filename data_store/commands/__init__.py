"""The commands of `store`, one file per kind of work."""
