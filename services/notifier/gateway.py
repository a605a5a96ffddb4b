"""The mail server: connections kept open, and three ways in which a mail does not go out (DOMAIN N2, N3)."""

import asyncio
from dataclasses import dataclass
from typing import Final

import aiosmtplib

TIMEOUT_SECONDS: Final = 10.0  # For each answer of the server; past it the server counts as away.
PERMANENT: Final = 500
TOO_LARGE: Final = 552  # The one refusal of a sender that is about the mail.
CLOSING: Final = 421  # "Service not available, closing transmission channel" may answer any command.


class NotSentError(Exception):
    """The text never repeats what the server said: that may hold the recipient's address (DOMAIN N4)."""


class RefusedError(NotSentError):
    """This mail will never be taken."""


class DeferredError(NotSentError):
    """This mail is not taken now."""


class ServerAwayError(NotSentError):
    """No mail is taken now, whichever it is."""


class CutOffError(ServerAwayError):
    """The server went away over this mail, which may or may not have gone out.

    Perhaps it is this mail that it cannot bear: the others must not wait for it.
    """


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in. STARTTLS is used where the server offers it; `tls`: from the first byte."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: bool = False
    timeout_seconds: float = TIMEOUT_SECONDS


@dataclass(frozen=True)
class Letter:
    sender: str
    recipient: str
    content: bytes


class SmtpConnection:
    """One connection, opened when first needed and again when it was lost. One mail at a time."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: aiosmtplib.SMTP | None = None

    async def send(self, letter: Letter) -> None:
        """Hand one mail over. Returns when the server has taken responsibility for it.

        Raises:
            RefusedError: Permanently; another try is no use.
            DeferredError: For this mail, now.
            ServerAwayError: For every mail, now.
        """
        smtp = await self._connected()
        try:
            await smtp.sendmail(letter.sender, [letter.recipient], letter.content)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._answered(error.recipients[0].code) from None
        except aiosmtplib.SMTPSenderRefused as error:
            if error.code == TOO_LARGE:
                raise RefusedError(f"SMTP {error.code}") from None
            raise ServerAwayError(f"SMTP {error.code} for the sender") from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._answered(error.code) from None
        except ValueError:
            raise RefusedError("unusable address") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            self.close()
            raise CutOffError(type(error).__name__) from None
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._smtp is not None and self._smtp.is_connected:
            return self._smtp
        self.close()
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls,
            timeout=server.timeout_seconds,
        )
        try:
            await smtp.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ServerAwayError(type(error).__name__) from None
        self._smtp = smtp
        return smtp

    def _answered(self, code: int) -> NotSentError:
        if code == CLOSING:
            self.close()
            return CutOffError(f"SMTP {code}")
        return RefusedError(f"SMTP {code}") if code >= PERMANENT else DeferredError(f"SMTP {code}")
