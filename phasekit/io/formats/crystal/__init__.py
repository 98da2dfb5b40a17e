"""Formats of crystal structures: the text of a CIF file, its symmetry, its chemical formula."""
