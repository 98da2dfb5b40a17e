"""Stage 1: patterns become a matrix of features, and the way back to the detector.

``features`` is the public step. ``masks`` finds bad pixels (``outliers``, ``scan_images``), ``pixel_selection`` and
``polar`` group pixels, ``centring`` brings patterns to one origin, ``peaks_to_patterns`` draws patterns from peaks,
``weighting`` scales the counts, ``gain`` estimates the counts per electron.
"""
