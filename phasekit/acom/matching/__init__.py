"""Stage 4: the peaks of every pattern are compared with a bank of templates.

``match`` is the public step. ``bank`` prepares templates and peaks. ``polar`` expands patterns into Fourier series over
the azimuth. ``search`` scores every template at every in-plane angle. ``candidates`` selects distinct orientations.
``result`` writes the results of a pixel and makes the dataset. ``parallel`` applies kernels to blocks of patterns.
"""
