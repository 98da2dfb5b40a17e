"""Generators of simulated scans whose authors have not seen the rule for the number of components."""
