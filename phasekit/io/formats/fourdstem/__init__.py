"""Formats of 4D-STEM scans. Every reader returns a raw scan, and ``scan`` makes it a PATTERNS dataset.

``array_tree`` finds the patterns among the arrays of an HDF5 file or zarr store, and ``tree_axes`` their axes.
``axis_order`` decides which axes are the scan. ``recordings`` holds the formats of cameras, frame after frame.
"""

INSTRUMENT, FUNCTION = "4D-STEM", "open_4dstem"

#: One line per format, in the order in which a file is offered to them.
FORMATS = (
    "saved_patterns",
    "zarr_store",
    "recordings.topspin",
    "hdf5",
    "npy",
    "tiff",
    "recordings.blockfile",
    "recordings.merlin",
    "recordings.tvips",
    "recordings.mrc",
    "recordings.empad",
    "rosettasciio",
)
