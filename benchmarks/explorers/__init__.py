"""How fast the explorers answer, measured in a browser (``make bench-explorers``)."""
