"""Parts of an SDF scan: the text header, the frames beside it, and the dwell."""
