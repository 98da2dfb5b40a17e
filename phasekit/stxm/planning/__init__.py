"""Before the beam time: which energies to measure, for how long, and what errors to expect.

- ``selection``: chooses energies among ``candidates``. ``design`` and ``separation`` hold the criteria, ``exchange``
  the search.
- ``forecast``: predicts errors by the ``error_model``.
- ``sequential``: chooses energies after a first coarse scan.
- ``dwell``: divides the dwell time between the energies.
"""
