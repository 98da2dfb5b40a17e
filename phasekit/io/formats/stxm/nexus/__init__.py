"""Parts of NeXus and other HDF5 stacks: text, frames, entries and counters, axes, dwell, monitors."""
