"""After the phase map: particles and their rows, profiles across boundaries, thickness, pictures.

``particles`` (with ``segmentation``) and ``particle_table`` (with ``interfaces``, ``outlines``) make the table;
``profiles`` and ``surfaces`` (with ``profile_parts``) the profiles; ``thickness`` (with ``optical_constants``) and
``fitted`` go back to optical density and fits; ``composites`` makes pictures and histograms.
"""
