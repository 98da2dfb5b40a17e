"""Simulated scans by authors who have not seen the rule for k."""
