"""The contracts of `.importlinter` hold, and each of them can fail."""

import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

CONFIG = ROOT / ".importlinter"
TREE_SECONDS_MAX = 60  # It takes about one; more means that it hangs.

# One module for each contract that breaks it, in packages that are otherwise empty.
VIOLATIONS = {
    "independent": ("pledge/queries.py", "from payment import app"),
    "layers": ("contracts/ids.py", "import eventing"),
    "pure": ("campaign/domain.py", "from campaign import clock"),
    "stripe": ("notifier/gateway.py", "import stripe"),
    "product": ("analytics/jobs.py", "from tests import fixtures"),
    "sandbox": ("stripe_sandbox/money.py", "import contracts"),
    "provider": ("settlement/gateway.py", "import stripe_sandbox"),
}
NEEDED = {"campaign/clock.py": "import time", "payment/app.py": "", "tests/fixtures.py": ""}


def contracts() -> dict[str, str]:
    """Name of each contract by its id."""
    config = ConfigParser()
    config.read(CONFIG)
    prefix = "importlinter:contract:"
    return {s.removeprefix(prefix): config[s]["name"] for s in config.sections() if s.startswith(prefix)}


def lint_imports(tree: Path) -> tuple[int, dict[str, str]]:
    """import-linter's exit code over a tree, and its verdict (KEPT or BROKEN) by contract name."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--config", str(CONFIG), "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TREE_SECONDS_MAX,
    )
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)$", done.stdout, flags=re.MULTILINE))
    assert set(verdicts) == set(contracts().values()), done.stdout + done.stderr
    return done.returncode, verdicts


@pytest.fixture
def empty_packages(tmp_path: Path) -> Path:
    config = ConfigParser()
    config.read(CONFIG)
    for package in config["importlinter"]["root_packages"].split():
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for name, text in NEEDED.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_this_repository_keeps_every_contract() -> None:
    code, verdicts = lint_imports(ROOT)
    assert (code, set(verdicts.values())) == (0, {"KEPT"})


def test_packages_without_modules_keep_every_contract(empty_packages: Path) -> None:
    code, verdicts = lint_imports(empty_packages)
    assert (code, set(verdicts.values())) == (0, {"KEPT"})


@pytest.mark.parametrize("contract", contracts())
def test_a_violation_breaks_its_contract_and_no_other(contract: str, empty_packages: Path) -> None:
    name, text = VIOLATIONS[contract]
    (empty_packages / name).write_text(text, encoding="utf-8")
    code, verdicts = lint_imports(empty_packages)
    broken = {contract for contract, name in contracts().items() if verdicts[name] == "BROKEN"}
    # A service that imports another breaks the layers too: the services share one.
    expected = {"independent", "layers"} if contract == "independent" else {contract}
    assert (code, broken) == (1, expected)
