"""Simple methods on the same data: reference fits, single phases, k-means and Gaussian mixtures, MCR-ALS."""
