"""Factorisation and the choice of k beside other packages and rules."""
