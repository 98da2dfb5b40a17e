"""How the package is written, measured beside others, and whether two commits give the same outputs."""
