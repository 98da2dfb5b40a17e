"""Seconds that a batch adds to each row."""
