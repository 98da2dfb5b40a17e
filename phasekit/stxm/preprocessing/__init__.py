"""Stage 1: counts become optical density with its noise.

The modules follow the order of the experiment.

- ``alignment``: drift between the frames. Its kernels are in ``image_registration`` and ``frame_interpolation``.
- ``incident_intensity`` and ``density``: incident intensity and optical density. ``count_statistics`` gives the noise,
  ``frames`` applies kernels frame by frame, ``material`` finds the pixels that hold material.
- ``exposure``: dwell and dark counts, and stacks that hold optical densities already.
- ``stray_light``, ``pre_edge`` and ``smoothing``: optional corrections of the optical density.
"""
