"""The reference page of all settings says what the code reads."""

from pathlib import Path

import pytest

from contracts.registry import SERVICES
from eventing.settings import main

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "settings.md"


def test_the_settings_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{service}.app:Settings" for service in SERVICES]
    main(names)
    printed = capsys.readouterr().out
    assert printed == PAGE.read_text(), f"write it again: python -m eventing.settings {' '.join(names)} > {PAGE}"
