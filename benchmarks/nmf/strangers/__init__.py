"""Simulated scans by authors who have not seen the choice of the number of components."""
