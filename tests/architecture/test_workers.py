"""How tests are dealt out to workers (docs/adr/0029)."""

import re
import subprocess
import sys
from collections import defaultdict

FILES = (
    "tests/architecture/test_docs.py",
    "tests/architecture/test_event_models.py",
    "tests/architecture/test_size.py",
)
TIMEOUT_SECONDS = 90


def test_a_file_stays_on_one_worker_and_both_have_work() -> None:
    command = [sys.executable, "-m", "pytest", "--numprocesses", "2", "--no-loadscope-reorder", "-v", *FILES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    workers: dict[str, set[str]] = defaultdict(set)
    for worker, file in re.findall(r"^\[(gw\d)\].* PASSED (\S+?)::", done.stdout, re.MULTILINE):
        workers[file].add(worker)
    assert set(workers) == set(FILES)
    assert all(len(found) == 1 for found in workers.values()), workers
    assert set.union(*workers.values()) == {"gw0", "gw1"}
