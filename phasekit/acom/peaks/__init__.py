"""Stage 1: diffraction disks are found in every pattern, with sub-pixel positions and intensities.

``finding`` is the public step. It hands each block of patterns to ``pattern_loop``. This calls ``adaptive`` or
``published`` for one pattern, with the ``settings`` of that mode. ``kernels`` holds the image filters, ``background``
the local background, ``flooding`` the search for maxima, and ``measurement`` the positions and intensities.
``disk_size`` estimates the disk radius and the noise of a scan, and ``dataset`` makes the dataset of peaks.
``reconstruction`` and ``virtual_images`` make images from peaks.
"""
