"""One batch at a time writes into a folder, and a dead one holds nobody up."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from phasekit.batch.ledger.lock import lock_folder
from phasekit.errors import ReadError

HOLD = """
import sys, time
from phasekit.batch.ledger.lock import lock_folder
with lock_folder(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of ``tmp_path``."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b"held"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_batch_is_refused_with_the_name_of_the_first(holder, tmp_path):
    with pytest.raises(ReadError, match=rf"process {holder.pid} on .*, since .*--wait"), lock_folder(tmp_path):
        pass


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_second_batch_waits_until_the_first_was_killed(holder, tmp_path):
    told = []
    timer = threading.Timer(0.5, holder.send_signal, [signal.SIGKILL])
    timer.start()
    with lock_folder(tmp_path, wait=True, tell=told.append):
        assert len(told) == 1
        assert f"process {holder.pid}" in told[0]
    timer.join()
    with lock_folder(tmp_path):  # and it was given back
        pass


def test_a_batch_into_a_folder_in_use_runs_nothing(batch, writer, tmp_path):
    (tmp_path / "out").mkdir()
    with (
        lock_folder(tmp_path / "out"),
        pytest.raises(ReadError, match=rf"a batch that runs here \(process {os.getpid()}"),
    ):
        batch({"seed": 1})
    assert writer.rows == []
    assert batch({"seed": 1})[0] == ["row 0"]
