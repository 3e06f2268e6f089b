"""What the data means: Arrow schemas, the rating scale, ids and errors."""
