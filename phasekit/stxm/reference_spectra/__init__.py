"""Stage 2: reference spectra at the energies of the data, and what all pixels share.

``library`` interpolates the references and finds the energy offset, ``non_negative`` solves many least-squares problems
at once, ``systematics`` fits energy offset, stray light, slope and resolution together.
"""
