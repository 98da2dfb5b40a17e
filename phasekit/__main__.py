"""``python -m phasekit`` is the command ``phasekit``."""

from .cli import main

raise SystemExit(main())
