"""The noise of a stack, measured on the stack itself.

- ``pixel_pairs``: differences of pixels, and their mean squares by block of the image.
- ``low_rank``: what the significant components of the spectra leave of them.
- ``position_noise``: noise from random errors of the pixels' positions.
- ``measured_noise``: all estimators, and the rule by which one of them is used.
"""
