"""Where the data lives: shards, the index, SQL, splits; the command `store`."""
