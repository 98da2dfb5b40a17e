"""Stage 5: orientations of the bank become continuous orientations with an uncertainty.

``refine`` is the public step. ``pattern_loop`` refines the solutions of each pattern in turn. ``kernels`` selects the
reflections that can diffract, ``score`` computes the correlation of their spots with the peaks, and ``simplex``
maximises it. ``centre_and_scale`` fits the centre and the scale of single patterns. ``uncertainty`` estimates the error
of an orientation. ``second_grain`` matches again what the first orientation leaves unexplained.
"""
