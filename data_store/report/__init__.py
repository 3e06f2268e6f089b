"""The teacher's page: what a store holds, how good the answers are, and what they cost."""
