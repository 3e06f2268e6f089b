"""One file per question; each is run by hand and keeps what it measured in results/."""
