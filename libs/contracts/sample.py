"""A sample value for every field of a JSON Schema: how a golden payload is first written."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

Schema = Mapping[str, Any]

SAMPLE_TIME: Final = "2027-03-01T12:00:00Z"


def sample(name: str, node: Schema, root: Schema) -> Any:
    """A value that fits `node`; every optional field is filled, so that a golden payload shows them all.

    The same field name gets the same id in every event, so that the golden payloads read as one story.

    Args:
        name: The field's name.
        node: The field's schema.
        root: The schema whose `$defs` the field refers to.

    Raises:
        ValueError: No value can be made up; give the field `examples`.
    """
    if "$ref" in node:
        node = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in node:
        return sample(name, node["anyOf"][0], root)
    if given := node.get("examples") or node.get("enum"):
        return given[0]
    if "properties" in node:
        return {field: sample(field, part, root) for field, part in node["properties"].items()}
    if "items" in node:
        return [sample(name, node["items"], root)]
    return _scalar(name, node)


def _scalar(name: str, node: Schema) -> str | int | bool:
    scalars: Mapping[str, str | int | bool] = {
        "uuid": str(sample_id(name)),
        "date-time": SAMPLE_TIME,
        "string": name,
        "integer": max(1, node.get("minimum", 1)),
        "boolean": True,
    }
    kind = str(node.get("format") or node.get("type"))
    if kind not in scalars:
        raise ValueError(f"no sample for the field {name}: give it examples")
    return scalars[kind]


def sample_id(name: str) -> UUID:
    """A UUIDv7 made of a name instead of a clock: version 7, variant 1, the rest a digest."""
    digest = int.from_bytes(sha256(name.encode()).digest()[:16], "big")
    time_and_version = 0x01A00000_0000_7000 | (digest >> 64 & 0x0FFF)
    return UUID(int=time_and_version << 64 | 0x8000_0000_0000_0000 | (digest & 0x3FFF_FFFF_FFFF_FFFF))
