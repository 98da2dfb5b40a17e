"""Stage 5: the simpler methods in use, on the same data.

``reference_fit`` fits amounts of all references to every pixel (``misfit`` flags what they leave). ``single_phase``
fits each reference alone. ``kmeans_gmm`` clusters the spectra, ``mcr`` resolves them into components. ``compare`` runs
all of them beside the phase map and counts who is right.
"""
