"""Which images to show to people next."""
