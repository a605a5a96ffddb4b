"""A real SMTP server with the local mailbox behind it, that a test can close, open again and make difficult."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.mailbox.store import Filter, Mailbox, Summary

HOST = "127.0.0.1"


@dataclass
class PostOffice:
    """`refuses`: answers to RCPT by address. `on_data`: runs when a mail was taken, before that is said."""

    mailbox: Mailbox = field(default_factory=Mailbox)
    refuses: dict[str, str] = field(default_factory=dict)
    refuses_senders: str = ""
    hangs_up: int = 0  # so many mails are taken, and the connection is cut before that is said
    on_data: Callable[[], object] = lambda: None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: list[SMTP] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def open(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._answer, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Gone, and every connection with it. The port stays the same for the next time."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for smtp in self._open:
            _cut(smtp)
        self._open.clear()

    def mail(self, to: str = "", kind: str = "") -> list[Summary]:
        header = f"X-Groundswell-Notice: {kind}" if kind else ""
        return list(self.mailbox.find(Filter(to=to, header=header)))

    def text(self, mail: Summary) -> str:
        """The plain text of a mail that was found."""
        _, message = self.mailbox.message(mail.id) or (mail, None)
        part = message.get_body(("plain",)) if message else None
        assert isinstance(part, EmailMessage)
        return str(part.get_content())

    def copies(self) -> Mapping[str, int]:
        return {one.to: one.copies for one in self.mail()}

    def _answer(self) -> SMTP:
        self.connections += 1
        smtp = SMTP(self, hostname="post.example", enable_SMTPUTF8=True)
        self._open.append(smtp)
        return smtp

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refuses_senders:
            return self.refuses_senders
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - the same
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if answer := self.refuses.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        assert isinstance(envelope.content, bytes)
        self.mailbox.receive(envelope.mail_from or "", envelope.rcpt_tos, envelope.content)
        self.on_data()
        await self.gate.wait()
        if self.hangs_up > 0:
            self.hangs_up -= 1
            _cut(server)
        return "250 OK"


def _cut(smtp: SMTP) -> None:
    if isinstance(smtp.transport, asyncio.WriteTransport):
        smtp.transport.abort()


@asynccontextmanager
async def post_office() -> AsyncIterator[PostOffice]:
    office = PostOffice()
    await office.open()
    try:
        yield office
    finally:
        office.gate.set()
        await office.close()
