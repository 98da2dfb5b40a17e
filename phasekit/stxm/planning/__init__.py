"""Before the beam time: which energies to measure, how long, and what error is left.

``selection`` chooses energies (criterion in ``design`` and ``separation``, search in ``exchange``), ``forecast`` says
what they will tell, ``sequential`` plans from a first coarse scan, ``dwell`` shares the time out.
"""
