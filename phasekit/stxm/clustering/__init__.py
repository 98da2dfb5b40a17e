"""Stage 3: spectra are clustered without labels by a Gaussian-mixture variational autoencoder.

``gmvae`` is the public step. ``initialisation`` gives its starting point, ``network`` the distributions and the
evidence bound, ``training`` the loop. ``clusters`` computes every pixel's membership of the clusters.
"""
