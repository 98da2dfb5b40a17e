"""Formats of STXM stacks. Every reader returns a raw stack, and ``stack`` makes it a STACK dataset.

``nexus`` and ``sdf_files`` hold parts of the readers of these files.
"""

INSTRUMENT, FUNCTION = "STXM", "open_stxm"

#: One line per format, in the order in which a file is offered to them.
FORMATS = (
    "saved_stack",
    "data_exchange",
    "mistral",
    "pystxmcontrol",
    "nxstxm",
    "tiff",
    "sdf",
    "axis2000",
)
