"""Stage 4: every pixel gets the name of a phase, a confidence and a status.

``labels`` holds the public step; it calls one module per step of the algorithm.

1. ``model_fit`` fits the systematics and finds the unknown phases (``unknown_phases``, ``phase_model``).
2. ``cluster_names`` names the clusters.
3. ``sufficient_statistics`` reduces every spectrum to a few numbers.
4. ``phase_maps`` draws maps from their posterior, tile by tile (``tiles``, ``potts_sampler``, ``potts_kernels``).
5. ``pixel_status`` compares every pixel with the maps and sets its status.

``ambiguity`` sets the status ``ambiguous`` again with other thresholds.
"""
