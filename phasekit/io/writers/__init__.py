"""Formats of other programs that results are written to, and files that appear only when complete."""
