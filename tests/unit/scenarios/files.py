"""A scenario file to start from, small and right."""

import copy
import json
from pathlib import Path
from typing import Any

from scenarios.loading import read
from scenarios.model import Scenario

RIGHT: dict[str, Any] = {
    "name": "small",
    "campaign": {
        "title": "A bench",
        "story": "To sit on.",
        "goal": 10_000,
        "currency": "EUR",
        "model": "all_or_nothing",
        "deadline_seconds": 20,
        "policy": {"cancellation_cutoff_seconds": 5},
        "tiers": [
            {"key": "seat", "title": "A seat", "minimum": 1_000, "estimated_delivery": "2027-05", "limit": 10},
        ],
    },
    "phases": [
        {
            "name": "One",
            "pledge": [{"group": "sitters", "tier": "seat", "amount": 1_000, "backers": {"DE": 8, "FR": 4}}],
        },
        {"name": "Two", "cancel": [{"group": "sitters", "count": 2}]},
    ],
    "expect": {
        "outcome": "funded",
        "pledged": {"count": 10, "amount": 10_000},
        "captured": {"count": 10, "amount": 10_000},
        "voided": {"count": 2, "amount": 2_000},
        "cancelled": 2,
        "milestones": [25, 50, 75, 100],
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The right scenario with one place changed: `phases.0.pledge.0.amount`."""
    document = copy.deepcopy(RIGHT)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = document
    for step in way:
        place = place[step]
    place[last] = value
    return document


def read_document(folder: Path, document: object) -> Scenario:
    file = folder / "scenario.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return read(file)
