"""Orientation mapping beside pyxem and py4DSTEM."""
