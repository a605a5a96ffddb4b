"""The local mailbox over real SMTP: what it shows, counts, bounds and refuses (DOMAIN N2)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from deploy.local.mailbox.__main__ import MESSAGE_BYTES_MAX, smtp_server
from deploy.local.mailbox.store import Filter, Mailbox
from deploy.local.mailbox.web import application
from deploy.local.plain_http import NO_TLS
from deploy.local.private import free_ports
from deploy.local.processes import open_run


@dataclass
class Post:
    """A mailbox with both of its doors open."""

    web: httpx.AsyncClient
    smtp_port: int

    async def send(self, message: EmailMessage) -> None:
        await aiosmtplib.send(message, hostname="127.0.0.1", port=self.smtp_port)

    async def json(self, path: str, **query: str) -> object:
        return (await self.web.get(path, params=query)).raise_for_status().json()


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    mailbox = Mailbox()
    transport = httpx.ASGITransport(application(mailbox))
    async with (
        smtp_server(mailbox, "127.0.0.1", 0) as port,
        httpx.AsyncClient(transport=transport, base_url="http://mailbox") as web,
    ):
        yield Post(web, port)


def mail(
    to: str = "ada@example.org",
    message_id: str = "<1@groundswell>",
    subject: str = "Danke für 25 €",
    **headers: str,
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Groundswell <mail@groundswell.example>"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = message_id
    for name, value in headers.items():
        message[f"X-Groundswell-{name}"] = value
    message.set_content("Hello Ada")
    message.add_alternative("<p>Hello <script>alert(1)</script><b>Ada</b></p>", subtype="html")
    return message


async def test_a_mail_is_found_by_its_recipient_with_subject_and_both_bodies(post: Post) -> None:
    await post.send(mail())
    await post.send(mail(to="bob@example.org", message_id="<2@groundswell>"))

    found = (await post.web.get("/messages", params={"to": "Ada@Example.org"})).json()

    assert [(one["to"], one["subject"], one["copies"]) for one in found] == [("ada@example.org", "Danke für 25 €", 1)]
    whole = (await post.web.get(f"/messages/{found[0]['id']}")).json()
    assert whole["plain"].strip() == "Hello Ada"
    assert "<b>Ada</b>" in whole["html"]


async def test_the_same_message_id_again_is_one_message_with_two_copies(post: Post) -> None:
    await post.send(mail())
    await post.send(mail())
    await post.send(mail(message_id="<2@groundswell>"))

    assert await post.json("/count") == {"messages": 2, "deliveries": 3, "repeated": 1}


async def test_the_same_message_id_to_two_people_is_two_messages(post: Post) -> None:
    await post.send(mail())
    await post.send(mail(to="bob@example.org"))

    assert await post.json("/count") == {"messages": 2, "deliveries": 2, "repeated": 0}


async def test_messages_are_counted_by_recipient_subject_and_own_headers(post: Post) -> None:
    await post.send(mail(message_id="<1@x>", Kind="milestone"))
    await post.send(mail(message_id="<2@x>", Kind="milestone", to="bob@example.org"))
    await post.send(mail(message_id="<3@x>", Kind="funded", subject="Funded"))

    assert await post.json("/counts", by="X-Groundswell-Kind") == {"milestone": 2, "funded": 1}
    assert await post.json("/counts", by="to") == {"ada@example.org": 2, "bob@example.org": 1}
    counted = await post.json("/count", header="X-Groundswell-Kind: milestone", to="bob@example.org")
    assert counted == {"messages": 1, "deliveries": 1, "repeated": 0}
    assert await post.json("/counts", by="X-Groundswell-Kind", subject="fund") == {"funded": 1}


async def test_the_page_escapes_the_mail_and_frames_its_html_without_scripts(post: Post) -> None:
    await post.send(mail(subject="<script>alert(2)</script>"))
    [found] = (await post.web.get("/messages")).json()

    page = (await post.web.get("/", params={"open": found["id"]})).text
    framed = await post.web.get(f"/messages/{found['id']}/html")

    assert "<script>" not in page
    assert "&lt;script&gt;alert(2)" in page
    policy = framed.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


async def test_an_unknown_message_is_a_404(post: Post) -> None:
    assert (await post.web.get("/messages/4711")).status_code == 404
    assert (await post.web.get("/messages/4711/html")).status_code == 404


async def test_a_mail_above_the_size_limit_is_refused(post: Post) -> None:
    huge = mail()
    huge.add_attachment(b"x" * MESSAGE_BYTES_MAX, maintype="application", subtype="octet-stream")

    with pytest.raises(aiosmtplib.SMTPResponseException, match="552"):
        await post.send(huge)

    assert await post.json("/count") == {"messages": 0, "deliveries": 0, "repeated": 0}


async def test_as_a_program_it_takes_its_ports_from_the_command_line(tmp_path: Path) -> None:
    smtp_port, http_port = free_ports(2)
    command = ["python", "-m", "deploy.local.mailbox", "--smtp-port", str(smtp_port), "--http-port", str(http_port)]
    url = f"http://127.0.0.1:{http_port}"
    with open_run("mailbox", tmp_path) as run:
        process = run.process("mailbox", command, {}, ready_url=f"{url}/health/ready")
        await asyncio.to_thread(process.start)
        async with httpx.AsyncClient(verify=NO_TLS, base_url=url) as web:
            await Post(web, smtp_port).send(mail())
            assert await Post(web, smtp_port).json("/count", to="ada@example.org") == {
                "messages": 1,
                "deliveries": 1,
                "repeated": 0,
            }


def test_the_oldest_summaries_are_forgotten_at_the_bound() -> None:
    mailbox = Mailbox(summaries_max=3)
    for number in range(5):
        mailbox.receive("from", ["ada@example.org"], mail(message_id=f"<{number}@x>").as_bytes())

    assert [one.message_id for one in mailbox.find(Filter(to="ada@example.org"))] == [
        "<4@x>",
        "<3@x>",
        "<2@x>",
    ]
    mailbox.receive("from", ["ada@example.org"], mail(message_id="<0@x>").as_bytes())
    assert [one.copies for one in mailbox.find(Filter())] == [1, 1, 1]


def test_the_oldest_texts_are_forgotten_first_and_their_summaries_stay() -> None:
    mailbox = Mailbox(bodies_bytes_max=1_000)
    for number in range(5):
        mailbox.receive("from", ["ada@example.org"], mail(message_id=f"<{number}@x>").as_bytes())

    newest, *_, oldest = mailbox.find(Filter())

    kept, forgotten = mailbox.message(newest.id), mailbox.message(oldest.id)
    assert kept is not None
    assert kept[1] is not None
    assert forgotten == (oldest, None)
