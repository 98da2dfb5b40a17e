"""What the scripts share: the code behind a result."""

from ..harness import compute_code_state

#: Parts of phasekit, and scripts of this folder, that the result of a cell depends on.
PARTS = ("stxm", "synthetic", "schema", "correlation.py")
SCRIPTS = (
    *("cells.py", "run_cell.py", "scores.py", "run_mantis.py"),
    *("maps.py", "mixture_cells.py", "mixture_scores.py", "run_mixture.py"),
)
#: Names of phasekit's maps in the results: with the clusters of the GMVAE, and without.
OWN, ALONE = "phasekit", "phasekit without GMVAE"


def find_code_state() -> str:
    """Return eight letters that change with any source file that the result of a cell depends on."""
    return compute_code_state("stxm", SCRIPTS, PARTS)
