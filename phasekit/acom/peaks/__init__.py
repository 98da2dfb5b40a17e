"""Stage 1: diffraction disks are found in every pattern, with sub-pixel positions and intensities.

``finding`` is the public step. It hands each block of patterns to ``pattern_loop``, which calls ``adaptive`` or
``published`` for one pattern; ``kernels`` and ``measurement`` hold the compiled loops of both. ``disk_size`` estimates
the disk radius and the noise of a scan. ``reconstruction`` and ``virtual_images`` make images from peaks.
"""
