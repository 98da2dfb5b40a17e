"""Results pages: of a batch as a table, of some runs as cards; thumbnails and the key numbers of every row."""
