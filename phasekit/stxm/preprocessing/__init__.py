"""Stage 1: counts become optical density with its noise.

In the order of the experiment: ``alignment`` (kernels in ``image_registration``), ``incident_intensity`` and
``density`` (noise from ``count_statistics``, frame by frame in ``frames``), ``stray_light``, ``pre_edge``,
``smoothing``; ``material`` finds the pixels that hold material.
"""
