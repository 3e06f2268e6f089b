"""The commands of `train`, grouped by what they are for; `train/cli.py` registers them."""
