"""Inputs as the programs of the field write them, each with what is right."""
