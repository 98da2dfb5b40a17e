"""How a page about the strangers' scans is written: its numbers beside it, so that a test can compose it again."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..harness import write_json


def parse_arguments(description: str | None) -> tuple[Path, Path]:
    """Folder of the results, and the page to write, from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("runs", type=Path)
    parser.add_argument("page", type=Path)
    chosen = parser.parse_args()
    return chosen.runs, chosen.page


def write_numbers_and_page(results: dict[str, Any], compose: Callable[[dict[str, Any]], list[str]], page: Path) -> None:
    """Write ``results`` as JSON, and the lines that ``compose`` makes of them."""
    write_json(page.with_suffix(".json"), results)
    page.write_text("\n".join(compose(results)) + "\n", encoding="utf-8")
