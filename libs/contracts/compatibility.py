"""What a changed event would break, told from its JSON Schemas.

Writers and readers of several ages share a contract, and so does every event ever stored. A change has to
hold both ways: a new reader reads old events, and an old reader reads what a new writer sends. What is left
is small: fields may be added, with a default. Anything else is a new version beside the old one.
"""

from collections.abc import Iterator, Mapping
from json import dumps
from typing import Any, Final

Schema = Mapping[str, Any]

NESTING_MAX: Final = 20  # Far above any event; a schema that refers to itself stops here.

# Keywords that only explain, and those that have a comparison of their own below.
_EXPLAINING = {
    "title",
    "description",
    "examples",
    "deprecated",
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "$ref",
}
_LOWER_BOUNDS = {"minimum", "exclusiveMinimum", "minLength", "minItems"}
_UPPER_BOUNDS = {"maximum", "exclusiveMaximum", "maxLength", "maxItems"}
_COMPARED = {"properties", "required", "default", "type", "format", "anyOf", "items", "enum", "const"}

_OLD_EVENTS = "old events may not fit"
_OLD_READERS = "old readers refuse what new writers may send"
_EITHER = "old events or old readers may not fit"


def breaking_changes(old_schema: Schema, new_schema: Schema) -> list[str]:
    """Every way in which `new_schema` fails an old reader or an old event, each named by its field.

    Args:
        old_schema: JSON Schema (2020-12) of the event's data as it was shipped.
        new_schema: The same as it would be now.

    Returns:
        Sentences such as `amount.currency: removed`; empty when the change is allowed.

    Raises:
        ValueError: A schema nests deeper than NESTING_MAX.
    """
    return list(_compare("", _inline(old_schema, old_schema), _inline(new_schema, new_schema)))


def _inline(node: Schema, root: Schema, depth: int = 0) -> dict[str, Any]:
    """The schema with every `$ref` replaced by what it points at."""
    if depth > NESTING_MAX:
        raise ValueError(f"a schema nests deeper than {NESTING_MAX}")
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        node = {**root["$defs"][name], **node}
    inlined = dict(node)
    if "properties" in node:
        inlined["properties"] = {k: _inline(v, root, depth + 1) for k, v in node["properties"].items()}
    if "items" in node:
        inlined["items"] = _inline(node["items"], root, depth + 1)
    if "anyOf" in node:
        inlined["anyOf"] = [_inline(choice, root, depth + 1) for choice in node["anyOf"]]
    return inlined


def _compare(path: str, old: Schema, new: Schema) -> Iterator[str]:
    if _kind(old) != _kind(new):
        yield f"{path}: type changed from {_kind(old)} to {_kind(new)}"
        return
    yield from _compare_fields(path, old, new)
    yield from _compare_values(path, old, new)
    if "items" in old and "items" in new:
        yield from _compare(f"{path}[]", old["items"], new["items"])
    for old_choice, new_choice in zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=True):
        yield from _compare(path, old_choice, new_choice)


def _kind(node: Schema) -> str:
    if "anyOf" in node:
        return " | ".join(_kind(choice) for choice in node["anyOf"])
    kind = str(node.get("type", "anything"))
    return f"{kind} ({node['format']})" if "format" in node else kind


def _compare_fields(path: str, old: Schema, new: Schema) -> Iterator[str]:
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    old_required, new_required = set(old.get("required", ())), set(new.get("required", ()))
    for name, old_field in old_fields.items():
        field = f"{path}.{name}" if path else name
        if name not in new_fields:
            yield f"{field}: removed"
            continue
        if name in old_required - new_required:
            yield f"{field}: no longer required, but old readers require it"
        elif name in new_required - old_required:
            yield f"{field}: default removed, and old events need not carry the field"
        elif old_field.get("default") != new_fields[name].get("default"):
            yield f"{field}: default changed, so old events without the field would mean something else"
        yield from _compare(field, old_field, new_fields[name])
    for name in new_fields.keys() - old_fields.keys():
        if name in new_required:
            yield f"{path}.{name}".lstrip(".") + ": new and required, but old events do not carry it"


def _compare_values(path: str, old: Schema, new: Schema) -> Iterator[str]:
    if lost := _values(old) - _values(new):
        yield f"{path}: enum lost {', '.join(sorted(lost))}: {_OLD_EVENTS}"
    if gained := _values(new) - _values(old):
        yield f"{path}: enum gained {', '.join(sorted(gained))}: {_OLD_READERS}"
    for keyword in sorted((old.keys() | new.keys()) - _EXPLAINING - _COMPARED):
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        if keyword in _LOWER_BOUNDS | _UPPER_BOUNDS:
            harm = _OLD_EVENTS if _is_narrower(keyword, before, after) else _OLD_READERS
        else:
            harm = _EITHER
        yield f"{path}: {keyword} changed from {before} to {after}: {harm}"


def _values(node: Schema) -> set[str]:
    """The values an enumeration allows, as JSON text; empty for a field that is not one."""
    return {dumps(value) for value in node.get("enum", [node["const"]] if "const" in node else [])}


def _is_narrower(keyword: str, before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is None
    return after > before if keyword in _LOWER_BOUNDS else after < before
