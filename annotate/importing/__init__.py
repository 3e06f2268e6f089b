"""Judgements of other systems on their way into a store."""
