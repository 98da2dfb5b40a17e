"""For all tests: what compiles when it is imported is imported by one process at a time."""

from phasekit.code_cache import import_alone

import_alone("orix.quaternion.symmetry")
