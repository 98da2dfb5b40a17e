"""Stage 2: the factorisation itself.

``factors`` is one fit, ``rank_fits`` are those of every k, ``labels`` names their arrays. ``level`` takes the unit out
of the features. They are read as ``blocks`` of rows and compressed. ``multistart`` fits every k from several ``starts``
to the compressed data, with the updates in ``hals``. ``polish`` refines the best fit on the data, with ``penalties``
where given. ``divergence`` continues to the likelihood of the counts. ``residual`` says how nearly an error is known.
``arrays`` lets the same code run on NumPy and torch.
"""
