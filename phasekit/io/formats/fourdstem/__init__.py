"""Formats of 4D-STEM scans. Every reader returns a raw scan, and ``scan`` makes it a PATTERNS dataset."""
