"""The notifier service: who is told what, once (DOMAIN N1 to N4)."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, SecretStr

from eventing.house import House, Rooms
from eventing.runtime import Job, Runtime
from eventing.settings import HttpAddress, ServiceSettings
from notifier.api import router
from notifier.gateway import TIMEOUT_SECONDS, MailServer, SmtpConnection
from notifier.handlers import DEFINITION
from notifier.jobs import LEASE_TIMEOUTS, AddressWatch, FanOuts, Sender, jobs
from notifier.letters import Letters

WEEK_SECONDS: Final = 7 * 86_400


def _mailbox(value: str) -> str:
    _, address = parseaddr(value)
    if not address.isascii() or not Address(addr_spec=address).domain:
        raise ValueError("expected Name <address@domain>")
    return value


class Settings(ServiceSettings):
    service: ClassVar[str] = "notifier"

    smtp_host: str = Field("127.0.0.1", description="Mail server that takes our mail")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port")
    smtp_username: str | None = Field(None, description="User name there; empty: no login")
    smtp_password: SecretStr | None = Field(None, description="Password there")
    smtp_tls: bool = Field(
        False, description="TLS from the first byte (port 465); else STARTTLS where the server offers it"
    )
    smtp_connections: int = Field(4, ge=1, le=50, description="Connections kept open to it by one replica")
    smtp_timeout_seconds: float = Field(
        TIMEOUT_SECONDS,
        gt=0,
        le=60,
        description="For one answer of it; what a killed replica held waits 12 of these",
    )
    mail_from: Annotated[str, AfterValidator(_mailbox)] = Field(description="Sender of all mail: Name <address@domain>")
    public_url: HttpAddress = Field(description="Address of the gateway, for the links in mails")
    contact_patience_seconds: int = Field(
        WEEK_SECONDS, ge=0, description="How long a notice waits for a person's address before it is skipped"
    )


def _mail_server(settings: Settings) -> MailServer:
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_username,
        password,
        settings.smtp_tls,
        settings.smtp_timeout_seconds,
    )


@asynccontextmanager
async def open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    server = _mail_server(settings)
    connections = [SmtpConnection(server) for _ in range(settings.smtp_connections)]
    letters = Letters(settings.mail_from, settings.public_url)
    lease_seconds = LEASE_TIMEOUTS * settings.smtp_timeout_seconds
    patience = timedelta(seconds=settings.contact_patience_seconds)

    def timers(runtime: Runtime) -> Iterable[Job]:
        return jobs(
            FanOuts(runtime.pool, runtime.clock),
            Sender(runtime.pool, runtime.clock, letters, connections, patience, lease_seconds),
            AddressWatch(runtime.pool, runtime.clock),
        )

    try:
        yield Rooms(routers=lambda runtime: [router(runtime)], jobs=timers)
    finally:
        for connection in connections:
            connection.close()


HOUSE = House(
    title="Notifier",
    definition=DEFINITION,
    migrations=Path(__file__).parent / "migrations",
    open_rooms=open_rooms,
)
cli = HOUSE.cli(Settings)
