"""`python -m deploy.local.mailbox --smtp-port 1025 --http-port 8025` serves mail in and pages out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.mailbox.store import Mailbox
from deploy.local.mailbox.web import application

MESSAGE_BYTES_MAX = 2**20  # A notice is some kilobytes; more than this is a mistake, refused with 552.


class Receiver:
    """aiosmtpd's handler: the name of the hook is its own."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 Not a message"
        self._mailbox.receive(envelope.mail_from or "", envelope.rcpt_tos, content)
        return "250 OK"


@contextlib.asynccontextmanager
async def smtp_server(mailbox: Mailbox, host: str, port: int) -> AsyncIterator[int]:
    """Take mail while open; yields the port, which the system chooses when 0 is asked for."""
    receiver = Receiver(mailbox)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(receiver, data_size_limit=MESSAGE_BYTES_MAX, enable_SMTPUTF8=True, hostname="mailbox.local"),
        host,
        port,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Settings(BaseSettings):
    """Where the mailbox listens: environment (`MAILBOX_…`) or command line."""

    model_config = SettingsConfigDict(env_prefix="MAILBOX_", cli_kebab_case=True)

    http_host: str = "127.0.0.1"
    http_port: int = 8025
    smtp_port: int = 1025


async def serve(settings: Settings) -> None:
    mailbox = Mailbox()
    config = uvicorn.Config(
        application(mailbox),
        host=settings.http_host,
        port=settings.http_port,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,  # longer than any client keeps a connection, here and in the services
    )
    async with smtp_server(mailbox, settings.http_host, settings.smtp_port):
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(serve(Settings(_cli_parse_args=True)))
