"""Formats of crystal structures. Every reader returns a :class:`~.structure.Crystal`.

``cif_text`` reads the blocks of a CIF text and ``symmetry_lines`` its operations. ``symmetry`` fills the unit cell,
``formula`` checks its content.
"""

INSTRUMENT, FUNCTION = "crystal", "open_phase"

#: One line per format, in the order in which a file is offered to them.
FORMATS = ("cif",)
