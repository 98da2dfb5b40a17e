"""Killed at random moments, a batch loses no row, runs none twice, leaves no half file and no process."""

import os
import signal
import time

import pytest

from ..tiny import notebook
from .faults import WORK, Process, check_all_done, kill_at_random, wait_for_rows

pytestmark = [pytest.mark.notebook, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]


@pytest.fixture
def work(tmp_path):
    return notebook(tmp_path / "work.ipynb", WORK)


def resume(out, work, n_rows):
    batch = Process(out, work, n_rows)
    assert batch.wait() == 0, batch.log.read_text(encoding="utf-8")
    assert not batch.list_orphans()
    check_all_done(out, n_rows)


def kill_five_times(out, work, first):
    """What was killed: two further rows each time, so that there is always something to kill."""
    kinds = [kill_at_random(out, work, 2 + 2 * number, first + number) for number in range(5)]
    resume(out, work, 10)
    return [kind for kind in kinds if kind]


def test_five_kills_lose_nothing(tmp_path, work):
    kinds = kill_five_times(tmp_path / "out", work, 0)
    assert len(kinds) >= 4
    assert set(kinds) == {"parent", "worker", "kernel"}


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_fifty_kills_lose_nothing(tmp_path, work):
    kinds, first = [], 5
    while len(kinds) < 50:
        kinds += kill_five_times(tmp_path / f"out {first}", work, first)
        first += 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_ctrl_c_ends_within_seconds_with_page_and_summary(tmp_path, number):
    long = notebook(tmp_path / "long.ipynb", "import time; time.sleep(600)")
    out = tmp_path / "out"
    batch = Process(out, long, 4)
    wait_for_rows(out, 2, batch)
    start = time.monotonic()
    batch.process.send_signal(number)
    assert batch.wait() == 130
    assert time.monotonic() - start < 8  # 5 s, and a busy machine
    assert not batch.list_orphans()
    log = batch.log.read_text(encoding="utf-8")
    assert "0 of 4 jobs ended well" in log
    assert "Traceback" not in log
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count('<tr class="interrupted"') == 2
    assert page.count('<tr class="queued"') == 2


def test_ctrl_c_twice_ends_at_once(tmp_path):
    long = notebook(tmp_path / "long.ipynb", "import time; time.sleep(600)")
    batch = Process(tmp_path / "out", long, 2)
    wait_for_rows(tmp_path / "out", 2, batch)
    batch.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    start = time.monotonic()
    batch.process.send_signal(signal.SIGINT)
    assert batch.wait() == 130
    assert time.monotonic() - start < 2.5
    assert not batch.list_orphans()
