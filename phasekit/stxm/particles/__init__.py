"""Stage 6, after the phase map: particles and their rows, profiles across boundaries, thickness, pictures.

``labels`` (with ``segmentation``) finds particles and phase domains. ``particle_table`` (with ``interfaces``,
``outlines``) makes one row for each. ``profiles`` and ``surfaces`` (with ``profile_parts``) make profiles along lines,
across boundaries and from the surface. ``thickness`` (with ``optical_constants``) and ``fitted_composition`` go back to
optical density and fits. ``composites`` makes pictures and histograms. ``scan_grid`` gives pixels their size.
"""
