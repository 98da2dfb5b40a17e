"""Commands of ``phasekit``, a module each: its options, and the function that carries it out.

A module imports what its function needs inside that function: `phasekit --version` must not wait for papermill.
"""
