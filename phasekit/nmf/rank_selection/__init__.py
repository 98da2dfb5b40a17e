"""The number of components, with its evidence.

``ranks`` gathers it: training ``loss``, fits to parts of the data (``runs``) that ``thinning`` deals and ``held_out``
judges, likeness of components (``alike``). ``choose`` reads it, every rule for itself and all together (``evidence``).
"""
