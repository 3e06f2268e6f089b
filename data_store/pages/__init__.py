"""Pages that people look at: one HTML file each, whole in itself, and the plots of it as files."""
