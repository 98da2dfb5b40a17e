"""Stage 1: diffraction disks are found in every pattern, with sub-pixel positions and intensities.

``finding`` is the public step. It hands each block of patterns to ``pattern_loop``. This calls ``adaptive`` or
``published`` for one pattern. ``settings`` estimates disk radius and noise of a scan, and makes the settings of the
mode. ``masking`` leaves bad pixels out, ``kernels`` holds the image filters, ``background`` the local background,
``flooding`` the search for maxima, and ``measurement`` the positions and intensities. ``dataset`` makes the dataset of
peaks. ``reconstruction`` and ``virtual_images`` make images from peaks.
"""
