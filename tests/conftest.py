"""For all tests: what compiles when it is imported is imported by one process at a time."""

from hypothesis import settings

from phasekit.code_cache import import_alone

import_alone("orix.quaternion.symmetry")

# The same examples on every machine and in every run; `make test-long` searches for others.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile("repeatable")
