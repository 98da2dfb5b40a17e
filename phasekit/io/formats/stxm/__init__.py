"""Formats of STXM stacks. Every reader returns a raw stack, and ``stack`` makes it a STACK dataset."""
