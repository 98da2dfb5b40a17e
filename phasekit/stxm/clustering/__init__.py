"""Stage 3: clusters of spectra, found without labels by a Gaussian-mixture variational autoencoder (GMVAE).

- ``gmvae``: the public fit, in one or several runs.
- ``initialisation``, ``network``, ``training``: the initial model, the distributions, the optimisation.
- ``clusters``: cluster probabilities of every pixel, and mean spectra.
"""
