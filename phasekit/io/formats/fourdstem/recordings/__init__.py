"""Recordings of cameras: frames of equal size one after another, which may have been stopped before the last one.

What is complete is opened. ``attrs["comment"]`` says what is missing.
"""
