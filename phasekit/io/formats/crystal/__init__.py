"""Formats of crystal structures. Every reader returns a :class:`~.structure.Crystal`.

``cif_text`` reads the blocks of a CIF text, ``symmetry_lines`` its operations, ``sites`` and ``elements`` its atoms.
``space_groups`` knows groups by name. ``symmetry`` fills the unit cell, ``formula`` checks its content.
"""

INSTRUMENT, FUNCTION = "crystal", "open_phase"

#: One line per format, in the order in which a file is offered to them.
FORMATS = ("cif",)
