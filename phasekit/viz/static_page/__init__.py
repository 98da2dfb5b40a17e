"""A result as one HTML page that needs no Python and no network: packing of the numbers, the document, its scripts."""
