"""Stage 2: reference spectra at the energies of the data, and the parameters that all pixels share.

- ``library``: interpolates the references and finds the energy offset.
- ``non_negative``: solves many non-negative least-squares problems at once.
- ``systematics``: estimates energy offset, stray light, slope and resolution together, by the fit in ``block_fit``.
"""
