"""STXM stacks of particles that are mixtures: solid solutions, nano-mixtures, gradual rims, mixed populations."""
