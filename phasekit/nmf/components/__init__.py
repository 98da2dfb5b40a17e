"""Stage 4: what the components mean, and where they overlap.

``background`` takes the diffuse background out of the grains' patterns. ``overlap`` is the published rule, ``mixtures``
the same with its uncertainty. ``overlap_patterns`` sets one overlapped pattern beside the sum of its parts.
``crystals`` leads to phases and orientations and back to a map. ``preprocessing_comparison`` factorises one scan
prepared in several ways. ``matching`` pairs two sets of components, one of them usually the truth.
"""
