"""Stage 6: maps of orientations become grains, boundaries, colours, pole figures and comparisons with the truth."""
