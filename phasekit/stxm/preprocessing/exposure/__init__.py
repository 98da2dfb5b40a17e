"""What the values of a stack are and how long they were measured.

- ``dwell``: dwell and dark counts, for which sample and incident intensity are compared.
- ``intensity_kind``: transmitted light told from optical density; ``given_density`` takes a stack of the latter.
"""
