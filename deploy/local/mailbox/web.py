"""The mailbox's JSON and its page for a person."""

from __future__ import annotations

import itertools
from collections import Counter
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader

from deploy.local.mailbox.store import Filter, Mailbox, Summary, part

PAGE_MAX = 500
# The mail of a stranger is shown: it may open links in a new tab, and nothing else (no scripts, no images).
HTML_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
)

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


def application(mailbox: Mailbox) -> FastAPI:
    app = FastAPI(title="Groundswell local mailbox", docs_url="/docs", redoc_url=None)
    _serve_messages(app, mailbox)
    _serve_counts(app, mailbox)
    _serve_pages(app, mailbox)
    return app


def _serve_messages(app: FastAPI, mailbox: Mailbox) -> None:
    @app.get("/messages")
    async def messages(to: str = "", subject: str = "", header: str = "", limit: Limit = 50) -> list[Summary]:
        return list(itertools.islice(mailbox.find(Filter(to, subject, header)), limit))

    @app.get("/messages/{id_}")
    async def message(id_: int) -> dict[str, object]:
        summary, parsed = _found(mailbox, id_)
        headers = [[name, str(value)] for name, value in parsed.items()] if parsed else []
        return {
            "summary": summary,
            "headers": headers,
            "plain": part(parsed, "plain"),
            "html": part(parsed, "html"),
        }

    @app.delete("/messages", status_code=204)
    async def clear() -> None:
        mailbox.clear()


def _serve_counts(app: FastAPI, mailbox: Mailbox) -> None:
    @app.get("/count")
    async def count(to: str = "", subject: str = "", header: str = "") -> dict[str, int]:
        """`messages`: different ones; `deliveries`: all that came; `repeated`: those that came again."""
        copies = [found.copies for found in mailbox.find(Filter(to, subject, header))]
        return {
            "messages": len(copies),
            "deliveries": sum(copies),
            "repeated": sum(number > 1 for number in copies),
        }

    @app.get("/counts")
    async def counts(by: str, to: str = "", subject: str = "", header: str = "") -> dict[str, int]:
        """Messages by `to`, `subject` or the value of an X-Groundswell-* header; without it not counted."""

        def key(found: Summary) -> str | None:
            return {"to": found.to, "subject": found.subject}.get(by) or found.headers.get(by.lower())

        keys = (key(found) for found in mailbox.find(Filter(to, subject, header)))
        return dict(Counter(value for value in keys if value is not None).most_common(PAGE_MAX))

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}


def _serve_pages(app: FastAPI, mailbox: Mailbox) -> None:
    page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True).get_template("inbox.html")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def inbox(to: str = "", subject: str = "", open: int | None = None) -> str:  # noqa: A002 - reads well in the URL
        found = list(itertools.islice(mailbox.find(Filter(to, subject)), PAGE_MAX))
        chosen, parsed = (mailbox.message(open) if open is not None else None) or (None, None)
        return page.render(
            messages=found,
            to=to,
            subject=subject,
            chosen=chosen,
            plain=part(parsed, "plain"),
            html=part(parsed, "html"),
            more=len(found) == PAGE_MAX,
        )

    @app.get("/messages/{id_}/html", include_in_schema=False)
    async def html(id_: int) -> HTMLResponse:
        text = part(_found(mailbox, id_)[1], "html")
        if text is None:
            raise HTTPException(404, "this message has no HTML part, or its text is no longer kept")
        # Inside the frame a link would open in the frame; the base sends it to a tab of its own.
        return HTMLResponse(f'<base target="_blank">{text}', headers={"Content-Security-Policy": HTML_POLICY})

    @app.get("/inbox/{to}", include_in_schema=False)
    async def inbox_of(to: str) -> RedirectResponse:
        return RedirectResponse(app.url_path_for("inbox") + f"?to={to}")


def _found(mailbox: Mailbox, id_: int) -> tuple[Summary, EmailMessage | None]:
    found = mailbox.message(id_)
    if found is None:
        raise HTTPException(404, "no such message, or it is no longer kept")
    return found
