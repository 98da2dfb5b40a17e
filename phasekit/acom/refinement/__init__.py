"""Stage 5: orientations of the bank become continuous orientations with an uncertainty.

``refine`` is the public step. ``pixels`` goes over the patterns of a block, ``kernels`` holds the score and its
maximum. ``centre_and_scale`` fits the centre and the scale of single patterns. ``uncertainty`` turns curvature into
angles. ``second_grain`` matches again what the first orientation leaves unexplained.
"""
