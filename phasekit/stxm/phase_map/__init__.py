"""Stage 4: every pixel gets the name of a phase, a confidence and a status.

``labels`` is the public step. ``sufficient_statistics`` reduces every spectrum to a few sums, ``unknown_phases`` finds
clusters that no reference explains (``misfit``), ``potts_sampler`` draws maps from their posterior (compiled in
``potts_kernels``, large maps in ``tiles``), ``pixel_status`` compares every pixel with the map. ``ambiguity`` draws the
ambiguity again with another threshold.
"""
