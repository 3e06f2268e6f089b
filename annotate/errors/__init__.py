"""What words cost: errors of turning opinions into level words and back, and confused words."""
