"""Writes the JSON Schemas and golden payloads of all public events: `python -m contracts.publish`.

Schemas follow the models, as long as the change breaks nobody. A golden payload is written once, when its
event is new, and never again: it stands for the events of that version which are stored already.
"""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from contracts.compatibility import breaking_changes
from contracts.envelope import encode
from contracts.event import Event
from contracts.registry import PUBLIC_EVENTS
from contracts.sample import SAMPLE_TIME, sample, sample_id

CONTRACTS: Final = Path(__file__).parent
SCHEMAS: Final = "schemas"
GOLDEN: Final = "golden"

Events = Mapping[str, type[Event]]


class BrokenContractError(Exception):
    """A changed event would fail an old reader or an old event: the change needs a new version."""


def schema_of(model: type[Event]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an event's data, as its readers see it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/schemas/{model.type}.json",
        **model.model_json_schema(),
    }


def golden_of(model: type[Event]) -> dict[str, Any]:
    """A complete CloudEvent of this type with every field filled."""
    schema = schema_of(model)
    event = model.model_validate(sample(model.__name__, schema, schema))
    cloud_event: dict[str, Any] = json.loads(
        encode(
            id=sample_id(model.type),
            source=model.source,
            type=model.type,
            subject=event.subject,
            version=1,
            time=datetime.fromisoformat(SAMPLE_TIME),
            data_json=event.model_dump_json(),
            traceparent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
            correlation_id=str(sample_id("correlation")),
            causation_id=str(sample_id("causation")),
        )
    )
    return cloud_event


def broken_contracts(folder: Path = CONTRACTS, events: Events = PUBLIC_EVENTS) -> list[str]:
    """What the models would break of the contracts published in `folder`.

    Returns:
        Sentences that name the event and the field, such as
        `pledge.PledgePlaced.v1: amount.currency: removed`.
    """
    broken = []
    for path in sorted((folder / SCHEMAS).glob("*.json")):
        if model := events.get(path.stem):
            changes = breaking_changes(json.loads(path.read_text(encoding="utf-8")), schema_of(model))
            broken += [f"{path.stem}: {change}" for change in changes]
        else:
            broken.append(f"{path.stem}: the event is gone, but stored events of it are not")
    return broken


def publish(folder: Path = CONTRACTS, events: Events = PUBLIC_EVENTS) -> None:
    """Bring schemas up to date and write the golden payloads of new events.

    Raises:
        BrokenContractError: Nothing was written, because an event breaks its published contract.
    """
    if broken := broken_contracts(folder, events):
        raise BrokenContractError("\n".join(broken))
    for kind in (SCHEMAS, GOLDEN):
        (folder / kind).mkdir(exist_ok=True)
    for name, model in events.items():
        (folder / SCHEMAS / f"{name}.json").write_text(as_text(schema_of(model)), encoding="utf-8")
        golden = folder / GOLDEN / f"{name}.json"
        if not golden.exists():
            golden.write_text(as_text(golden_of(model)), encoding="utf-8")


def as_text(document: Mapping[str, Any]) -> str:
    """JSON as it is kept under version control: one value a line."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    try:
        publish()
    except BrokenContractError as error:
        sys.stderr.write(f"{error}\nAdd the changed event as a new version beside the old one.\n")
        return 1
    sys.stdout.write(f"{len(PUBLIC_EVENTS)} events published\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
