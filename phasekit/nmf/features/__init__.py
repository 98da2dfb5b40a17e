"""Stage 1: patterns become a matrix of features, and the way back to the detector.

``features`` is the public step, with its ``settings``. ``masks`` finds pixels to leave out, from ``scan_images`` (one
pass over the scan) and ``outliers`` (dead, hot and covered pixels). ``pixel_selection`` applies a mask, ``centring``
shifts patterns to one origin, ``polar`` groups pixels, and ``peaks_to_patterns`` draws patterns from peaks.
``weighting`` sums the pixels of each feature and scales the counts. ``gain`` measures the counts per electron.
"""
