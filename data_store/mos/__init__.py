"""Mean opinion scores on their way into a store."""
