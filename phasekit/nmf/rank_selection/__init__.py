"""Stage 3: the number of components.

``ranks`` measures the evidence for every k. ``thinning`` and ``held_out`` make and score data that a fit has not seen,
``runs`` is the cross-validation over them. ``loss`` is the published K-component loss, ``similarity`` compares the
components of several fits. ``evidence`` turns the curves into a probability, ``choose`` into one k.
"""
