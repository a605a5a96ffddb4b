"""Mails made of notices: a text once per language, put into a plain and an HTML layout (DOMAIN N3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from babel import Locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from contracts.campaign import FundingModel
from contracts.money import Money
from notifier import wording
from notifier.domain import Facts, mark
from notifier.gateway import Letter
from notifier.queries import Addressee, Due

FOLDER: Final = Path(__file__).parent / "templates"
LANGUAGES: Final = frozenset(folder.name for folder in FOLDER.iterdir() if folder.is_dir())


class IncompleteError(Exception):
    """What the mail is about is not known yet. Names what is missing."""


@dataclass(frozen=True)
class Letters:
    """Writes mails. `mail_from`: `Name <address>`; `public_url`: where links lead."""

    mail_from: str
    public_url: str
    _templates: Environment = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_templates", _environment())

    @cached_property
    def _sender(self) -> Address:
        name, address = parseaddr(self.mail_from)
        return Address(wording.one_line(name), addr_spec=address)

    def write(self, due: Due, to: Addressee) -> Letter:
        """The mail of a notice, the same each time but for the boundary between its parts.

        Raises:
            IncompleteError: A fact that it needs has not come in yet.
        """
        locale = wording.locale_of(to.locale)
        language = locale.language if locale.language in LANGUAGES else wording.FALLBACK
        template = self._templates.get_template(f"{language}/{due.kind}.txt")
        frame = self._templates.get_template(f"{language}/frame.txt")
        texts = _texts(frame, template, self._facts(due, to, locale, language))
        message = self._headed(due, to, texts["subject"])
        message.set_content(self._laid_out("layout.txt", texts, language), cte="quoted-printable")
        html = self._laid_out("layout.html", texts, language)
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return Letter(self._sender.addr_spec, to.email, message.as_bytes())

    def _headed(self, due: Due, to: Addressee, subject: str) -> EmailMessage:
        """The name of the recipient stands in no header: there is nothing it could break."""
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = Address(addr_spec=to.email)
        message["Subject"] = subject
        message["Date"] = format_datetime(due.created_at)
        message["Message-ID"] = f"<{mark(*due.key)}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Groundswell-Notice"] = due.kind.value
        message["X-Groundswell-Campaign"] = str(due.campaign_id)
        return message

    def _laid_out(self, layout: str, texts: Mapping[str, str], language: str) -> str:
        paragraphs = [part for text in texts["body"].split("\n\n") if (part := " ".join(text.split("\n")).strip(" "))]
        return self._templates.get_template(layout).render(**{**texts, "body": paragraphs}, language=language)

    def _facts(self, due: Due, to: Addressee, locale: Locale, language: str) -> dict[str, Any]:
        """What the texts may say. What a person once typed is one line or several; amounts are in their formats."""
        if due.title is None or due.model is None:
            raise IncompleteError("campaign not known yet")
        if due.reward_missing:
            raise IncompleteError("reward not known yet")
        words = wording.in_language(locale, language)
        reward = due.reward
        return {
            "name": wording.one_line(to.name),
            "campaign": wording.one_line(due.title),
            "charged_at_once": due.model is FundingModel.KEEP_IT_ALL,
            "deadline": wording.moment(due.deadline, words) if due.deadline else "",
            "amount": _money(due.amount, locale),
            "reward": wording.one_line(reward.title) if reward else "",
            "delivery": wording.month(reward.estimated_delivery, words) if reward else "",
            "campaign_url": f"{self.public_url}/campaigns/{due.campaign_id}",
            "pledge_url": f"{self.public_url}/pledges/{due.pledge_id}" if due.pledge_id else "",
            "until": wording.moment(due.facts.until, words) if due.facts.until else "",
            **_said(due.facts, locale),
        }


def _said(facts: Facts, locale: Locale) -> dict[str, Any]:
    return {
        "reason": facts.reason,
        "title": wording.one_line(facts.title),
        "text": wording.paragraphs(facts.text),
        "percent": facts.percent,
        "stretch_goal": wording.one_line(facts.stretch_goal or ""),
        "backers": facts.backers,
        "outcome": facts.outcome.value if facts.outcome else "",
        "total": _money(facts.total, locale),
        "payout": _money(facts.payout, locale),
        "platform_fee": _money(facts.platform_fee, locale),
        "provider_fee": _money(facts.provider_fee, locale),
        "refunded": _money(facts.refunded, locale),
        "disputed": _money(facts.disputed, locale),
        "reserve": _money(facts.reserve, locale),
        "released": _money(facts.released, locale),
        "recovered": _money(facts.recovered, locale),
        "payout_kind": facts.payout_kind.value,
        "lost": facts.lost,
        "hard": facts.hard,
        "partly": facts.partly,
        "of_change": facts.of_change,
        "won": facts.won,
    }


def _money(amount: Money | None, locale: Locale) -> str:
    return wording.money(amount, locale) if amount is not None else ""


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _texts(frame: Template, template: Template, facts: Mapping[str, Any]) -> dict[str, str]:
    """Each block on its own, the notice's before the frame's: subject, greeting, body, action, url and footer."""
    context = template.new_context(dict(facts))
    blocks = {**frame.blocks, **template.blocks}
    texts = {name: "".join(block(context)) for name, block in blocks.items()}
    return {name: text if name == "body" else wording.one_line(text) for name, text in texts.items()}
