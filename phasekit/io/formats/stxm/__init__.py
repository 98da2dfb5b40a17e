"""Formats of STXM stacks. Every reader returns a raw stack, and ``stack`` makes it a STACK dataset.

``nexus_axes`` finds the axes of a NeXus counter for ``nxstxm``.
"""

INSTRUMENT, FUNCTION = "STXM", "open_stxm"

#: One line per format, in the order in which a file is offered to them.
FORMATS = (
    "saved_stack",
    "nxstxm",
    "tiff",
    "sdf",
    "axis2000",
)
