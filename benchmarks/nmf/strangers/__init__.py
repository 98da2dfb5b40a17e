"""Generators of simulated 4D-STEM scans whose authors have not seen the rule that chooses k."""
