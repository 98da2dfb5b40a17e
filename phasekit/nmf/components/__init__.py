"""What the components say: whose they are and where they overlap.

``background`` takes the haze out of the grains' patterns; ``overlap`` is the published rule, ``mixtures`` the same with
its errors, ``pairs`` one overlapped pattern beside its sum; ``crystals`` leads to phases and orientations and back to a
map; ``variants`` are the same scan prepared in other ways; ``matching`` compares two sets of components, one of them
usually the truth.
"""
