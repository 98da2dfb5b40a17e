"""Stage 6: grains, boundaries, colours and pole figures of orientation maps, and their comparison with a truth.

``half_turns`` resolves the 180-degree ambiguity first. ``neighbours`` holds what the maps of pairs of pixels share.
"""
