"""Stage 2: peak positions in detector pixels become scattering vectors in 1/angstrom.

``calibrate_peaks`` is the public step, and ``table`` is its kernel. ``origins`` finds the direct beam of every pattern.
``rings`` and ``ellipse_and_scale`` compare lengths with a phase's lattice planes. ``scan_rotation`` finds the angle
between scan and detector.
"""
