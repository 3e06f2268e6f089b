"""The parts of `annotate audit`: what is asked, what is measured, and what will not do."""
