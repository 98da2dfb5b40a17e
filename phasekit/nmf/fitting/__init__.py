"""The factorisation itself.

The features come as ``blocks`` of rows; ``starts`` race on compressed data (``races``, sweeps in ``hals``, on NumPy or
torch ``arrays``), and ``polish`` finishes on the data, with ``penalties`` where wished; ``divergence`` goes on from
there to the likelihood of the counts. ``factors`` is one fit, ``rank_fits`` those of every k.
"""
