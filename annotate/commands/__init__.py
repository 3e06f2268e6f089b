"""The commands of `annotate`, grouped by what they are for; `annotate/cli.py` registers them."""
