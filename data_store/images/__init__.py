"""Images on their way into a store: found, opened, compared by their looks, kept as rows."""
