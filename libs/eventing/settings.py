"""Settings of a service, from the environment. A service subclasses `ServiceSettings` and adds its own.

`python -m eventing.settings pledge.app:Settings ...` prints the reference page of the classes it is given.
"""

import importlib
import ipaddress
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, Json, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "GROUNDSWELL_"
T = TypeVar("T", bound="ServiceSettings")


class SettingsError(Exception):
    """Settings are missing or wrong. The text has one line per field and no value, which may be secret."""


def _check_url(url: str, schemes: Sequence[str]) -> None:
    expected = f"expected {' or '.join(f'{scheme}://' for scheme in schemes)} with a host"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in schemes or not host:
        raise ValueError(expected)


def _secret_url(*schemes: str) -> Callable[[SecretStr], SecretStr]:
    def check(value: SecretStr) -> SecretStr:
        _check_url(value.get_secret_value(), schemes)
        return value

    return check


def _http_url(value: str) -> str:
    _check_url(value, ("http", "https"))
    return value.rstrip("/")


HttpAddress = Annotated[str, AfterValidator(_http_url)]
# Addresses that carry a password print as `**********`; `.get_secret_value()` gives the text.
PostgresUrl = Annotated[SecretStr, AfterValidator(_secret_url("postgresql", "postgres"))]
AmqpUrl = Annotated[SecretStr, AfterValidator(_secret_url("amqp", "amqps"))]
RedisUrl = Annotated[SecretStr, AfterValidator(_secret_url("redis", "rediss"))]


class ServiceSettings(BaseSettings):
    """What every service needs. `service` is its name: schema, queue, event source, log and metric label."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    service: ClassVar[str]

    database_url: PostgresUrl = Field(
        description="PostgreSQL, as the service's own role: postgresql://role:password@host:port/database"
    )
    broker_url: AmqpUrl = Field(description="RabbitMQ, as the service's own user: amqp://user:password@host:port/vhost")
    broker_admin_url: AmqpUrl | None = Field(
        None, description="RabbitMQ, as a user that may declare all queues; for `migrate` and `republish`"
    )
    http_host: str = Field("127.0.0.1", description="Address to listen on")
    http_port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    http_body_bytes_max: int = Field(
        65_536, ge=1_024, le=10_485_760, description="Largest request body accepted, in bytes"
    )
    http_timeout_seconds: float = Field(
        10, gt=0, le=300, description="Longest time until an answer starts; then 408 or 503"
    )
    jwks_url: HttpAddress = Field(description="JWKS document with the keys that tokens are signed with")
    jwt_issuer: str = Field(min_length=1, description="`iss` that a token must carry")
    jwt_audience: str = Field(min_length=1, description="`aud` that a token must carry")
    log_level: Annotated[str, AfterValidator(str.upper)] = Field(
        "INFO",
        pattern="(?i)^(debug|info|warning|error)$",
        description="Least severe log lines written: DEBUG, INFO, WARNING or ERROR",
    )
    otlp_endpoint: HttpAddress | None = Field(
        None,
        description="OpenTelemetry collector (OTLP over HTTP); empty: traces are not exported",
    )
    api_page_tokens: Json[dict[str, SecretStr]] = Field(
        {},
        validate_default=False,
        description="For development: tokens that the API page gives to whoever opens it, as a JSON object by person; "
        "on loopback only",
    )

    @model_validator(mode="after")
    def _tokens_stay_on_this_machine(self) -> Self:
        if self.api_page_tokens and not is_loopback(self.http_host):
            reason = f"{variable(type(self), 'api_page_tokens')} gives tokens away: it goes with loopback only"
            raise ValueError(reason)
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; of a name other than `localhost` that is not known."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(settings: type[T]) -> T:
    """The settings of this process.

    Raises:
        SettingsError: One line per field that is missing or wrong, by the name of its environment variable.
    """
    try:
        return settings()
    except ValidationError as error:
        lines = []
        for item in error.errors(include_input=False, include_url=False):
            name = variable(settings, str(item["loc"][0])) if item["loc"] else settings.__name__
            reason = "is missing" if item["type"] == "missing" else item["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {reason}")
        raise SettingsError("\n".join(lines)) from None


def variable(settings: type[BaseSettings], field: str) -> str:
    """The environment variable of a field."""
    return f"{settings.model_config.get('env_prefix', '')}{field}".upper()


def markdown(settings: type[BaseSettings]) -> str:
    """All settings of a class as a Markdown table, for the reference page."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in settings.model_fields.items():
        if field.is_required():
            default = "required"
        elif field.default is PydanticUndefined or field.default is None or field.default == "":
            default = "empty"
        else:
            default = f"`{field.default}`"
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{variable(settings, name)}` | {default} | {meaning} |")
    return "\n".join(rows)


def main(names: Sequence[str]) -> None:
    """Print the reference page of `module:Class` names."""
    parts = ["# Settings", "Every setting is an environment variable, read once at start."]
    for name in names:
        module, _, attribute = name.partition(":")
        settings = getattr(importlib.import_module(module), attribute)
        parts += [f"## {settings.service}", markdown(settings)]
    sys.stdout.write("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
