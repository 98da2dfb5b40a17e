"""Loaded first under ``make test-machines`` (``pytest -p tests.abroad``): use the locale that the environment names.

Python itself keeps writing decimal points, but a program around it (a Qt window, a user's own startup file) may have
called ``setlocale``, and then C libraries read and write commas.
"""

import locale
import os

if os.environ.get("PHASEKIT_SETLOCALE") == "1":
    locale.setlocale(locale.LC_ALL, "")
