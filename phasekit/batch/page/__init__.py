"""The results page of a batch, its thumbnails, and the table of the key numbers of every row."""
