"""Stripe's requests: form-encoded, nested by brackets. What cannot be read is refused in Stripe's words."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TypeAlias, TypeVar
from urllib.parse import unquote_plus

from stripe_sandbox.errors import StripeError

Value: TypeAlias = "str | dict[str, Value]"
Form: TypeAlias = "dict[str, Value]"
Required = TypeVar("Required", str, int)

FIELDS_MAX = 500  # Stripe's own largest requests have some hundred.
DEPTH_MAX = 5  # payment_method_options[card][mandate_options][…] is as deep as it gets.
TEXT_MAX = 5_000  # Stripe: the longest string it stores for most fields.
METADATA_KEYS_MAX = 50
METADATA_KEY_MAX = 40
METADATA_VALUE_MAX = 500
INTEGER_DIGITS_MAX = 18  # Past this no amount, time or limit means anything.


def parse_form(raw: bytes) -> Form:
    """`a[b]=1&c[]=2` as `{"a": {"b": "1"}, "c": {"0": "2"}}`."""
    form: Form = {}
    if not raw:
        return form
    try:
        pairs = raw.decode("ascii").split("&")
        if len(pairs) > FIELDS_MAX:
            raise StripeError(f"Invalid request: more than {FIELDS_MAX} parameters.")
        for pair in pairs:
            name, _, value = pair.partition("=")
            if pair:
                _put(form, _keys(name), _decoded(value))
    except UnicodeError:
        raise StripeError("Invalid request: the parameters are not valid UTF-8.") from None
    return form


def _decoded(text: str) -> str:
    if "+" in text or "%" in text:
        text = unquote_plus(text, errors="strict")
    if "\x00" in text:
        raise StripeError("Invalid request: the parameters contain a NUL character.")
    return text


def _put(form: Form, keys: tuple[str, ...], value: str) -> None:
    place = form
    for key in keys[:-1]:
        inner = place.setdefault(key or str(len(place)), {})
        if isinstance(inner, str):
            raise _shape(keys[0])
        place = inner
    last = keys[-1] or str(len(place))
    if isinstance(place.get(last), dict):
        raise _shape(keys[0])
    place[last] = value


@lru_cache(maxsize=1_024)  # Most requests have the same few dozen names.
def _keys(name: str) -> tuple[str, ...]:
    """`a[b][c]`, encoded or not, as `("a", "b", "c")`."""
    head, bracket, rest = _decoded(name).partition("[")
    if not bracket:
        return (head,)
    if not head or not rest.endswith("]"):
        raise StripeError("Invalid request: a parameter's brackets do not match.")
    keys = (head, *rest[:-1].split("]["))
    if len(keys) > DEPTH_MAX:
        raise StripeError(f"Invalid request: parameters nested deeper than {DEPTH_MAX}.")
    return keys


def _shape(name: str) -> StripeError:
    return StripeError(f"Invalid request: {name} is both a value and an object.", param=name)


class Params:
    """Reads a form field by field; `close` refuses what nobody asked for."""

    def __init__(self, form: Mapping[str, Value], within: str = "") -> None:
        self._form = form
        self._within = within
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, dict):
            raise StripeError(f"Invalid string: {self._name(name)}", param=self._name(name))
        if not value:
            raise StripeError(
                f"You passed an empty string for '{self._name(name)}'. We assume empty values are an attempt "
                "to unset a parameter; however it cannot be unset.",
                code="parameter_invalid_empty",
                param=self._name(name),
            )
        if len(value) > TEXT_MAX:
            raise StripeError(
                f"Invalid string: {self._name(name)} must be at most {TEXT_MAX} characters",
                code="parameter_invalid_string",
                param=self._name(name),
            )
        return value

    def required_text(self, name: str) -> str:
        return self._required(name, self.text(name))

    def integer(self, name: str, *, minimum: int = 0) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > INTEGER_DIGITS_MAX:
            raise StripeError("Invalid integer", code="parameter_invalid_integer", param=self._name(name))
        if int(text) < minimum:
            raise StripeError(
                f"This value must be greater than or equal to {minimum}.",
                code="parameter_invalid_integer",
                param=self._name(name),
            )
        return int(text)

    def required_integer(self, name: str, *, minimum: int = 0) -> int:
        return self._required(name, self.integer(name, minimum=minimum))

    def flag(self, name: str) -> bool:
        text = self.text(name)
        if text not in {None, "true", "false"}:
            raise StripeError(f"Invalid boolean: {self._name(name)}", param=self._name(name))
        return text == "true"

    def choice(self, name: str, options: Collection[str]) -> str | None:
        text = self.text(name)
        if text is not None and text not in options:
            raise StripeError(
                f"Invalid {self._name(name)}: must be one of {', '.join(sorted(options))}", param=self._name(name)
            )
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._take(name)
        if value is None:
            return ()
        if isinstance(value, str) or not all(isinstance(item, str) and item for item in value.values()):
            raise StripeError("Invalid array", param=self._name(name))
        return tuple(item for item in value.values() if isinstance(item, str))

    def section(self, name: str) -> "Params | None":
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, str):
            raise StripeError("Invalid object", param=self._name(name))
        return Params(value, self._name(name))

    def is_section(self, name: str) -> bool:
        return isinstance(self._form.get(name), dict)

    def metadata(self) -> dict[str, str]:
        section = self.section("metadata")
        if section is None:
            return {}
        pairs: dict[str, str] = {}
        for key, value in section._form.items():  # noqa: SLF001 - of the same class
            if isinstance(value, dict):
                raise StripeError("Metadata values must be strings", param=f"metadata[{key[:METADATA_KEY_MAX]}]")
            if len(key) > METADATA_KEY_MAX or len(value) > METADATA_VALUE_MAX:
                raise StripeError(
                    f"Metadata keys have at most {METADATA_KEY_MAX} characters, values {METADATA_VALUE_MAX}.",
                    param="metadata",
                )
            if value:
                pairs[key] = value
        if len(pairs) > METADATA_KEYS_MAX:
            raise StripeError(f"Metadata has at most {METADATA_KEYS_MAX} keys.", param="metadata")
        return pairs

    def close(self) -> None:
        """Refuse parameters that were not read: unknown to Stripe, or beyond what the sandbox supports."""
        unknown = sorted(self._form.keys() - self._read)
        if unknown:
            raise StripeError(
                f"Received unknown parameter: {self._name(unknown[0])[:100]}",
                code="parameter_unknown",
                param=self._name(unknown[0])[:100],
            )

    def _take(self, name: str) -> "Value | None":
        self._read.add(name)
        return self._form.get(name)

    def _name(self, name: str) -> str:
        return f"{self._within}[{name}]" if self._within else name

    def _required(self, name: str, value: Required | None) -> Required:
        if value is None:
            raise StripeError(
                f"Missing required param: {self._name(name)}.",
                code="parameter_missing",
                param=self._name(name),
            )
        return value
