"""The sandbox's books as a page for people: everything at a glance, nothing to click but what waits for somebody."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TypeVar

from stripe_sandbox.books import Kind
from stripe_sandbox.money import decimals
from stripe_sandbox.resources import Dispute, Intent, Resource, Status, Transfer
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.tables import Table, Window

SHOWN = 15  # Rows of a table: more is what the API's lists are for.
CAMPAIGNS_SHOWN = 100

_COLUMNS = (Kind.AUTHORIZED, "held", Kind.CAPTURED, Kind.VOIDED, Kind.DECLINED, Kind.CAPTURE_FAILED, Kind.REFUNDED,
            Kind.DISPUTED, Kind.TRANSFERRED, Kind.REVERSED, Kind.FEES)  # fmt: skip
_STYLE = """
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 15%,transparent);
--soft:color-mix(in srgb,currentColor 5%,transparent)}
body{font:15px/1.5 system-ui,sans-serif;max-width:90rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:baseline}header p{margin:0;opacity:.7}
ul.figures{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;padding:0;margin:1rem 0}
ul.figures li{background:var(--soft);border-radius:8px;padding:.6rem 1rem;min-width:7rem}
ul.figures b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
ul.figures li.alarm{background:#c0303030;outline:1px solid #c03030}
div.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .4rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;opacity:.7}td.text,th.text{text-align:left}small{opacity:.6}p.empty{opacity:.6;margin:.2rem 0}
code{font-size:.85em}
"""

RowT = TypeVar("RowT", bound=Resource)


class Raw(str):
    """Markup that is written as it is."""

    __slots__ = ()


Cell = str | int | Raw


def page(sandbox: Sandbox) -> str:
    books = sandbox.state.books.document()
    sections = (
        _header(sandbox),
        _figures(sandbox, books),
        _campaigns(books),
        _payments(sandbox),
        _disputes(sandbox.state.disputes),
        _transfers(sandbox.state.transfers),
        _trouble(sandbox),
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Stripe sandbox</title><style>{_STYLE}</style>{''.join(sections)}</html>"
    )


def _header(sandbox: Sandbox) -> str:
    return (
        f"<header><h1>Stripe sandbox</h1><p>clock {_when(sandbox.state.clock.now())} UTC</p>"
        "<p><a href=/sandbox/books>books</a> · <a href=/sandbox/faults>faults</a> · "
        "<a href=/sandbox/limits>limits</a> as JSON</p></header>"
    )


def _figures(sandbox: Sandbox, books: Mapping[str, object]) -> str:
    state, anomalies = sandbox.state, books["anomalies"]
    assert isinstance(anomalies, dict)
    figures: list[tuple[str, str, bool]] = [
        (f"balance {currency}", _money(minor, currency), minor < 0) for currency, minor in state.balance.items()
    ]
    figures += [
        ("payments", f"{len(state.intents):,}", False),
        ("events", f"{len(state.events):,}", False),
        ("deliveries to do", f"{sandbox.webhooks_outstanding:,}", False),
        ("of them held back", f"{len(sandbox.crossing):,}", False),
    ]
    figures += [
        (name.replace("_", " "), f"{entry['count']:,}", entry["count"] > 0) for name, entry in anomalies.items()
    ]
    items = (
        f"<li{' class=alarm' if alarm else ''}><b>{escape(value)}</b>{escape(name)}</li>"
        for name, value, alarm in figures
    )
    return f"<ul class=figures>{''.join(items)}</ul>"


def _campaigns(books: Mapping[str, object]) -> str:
    campaigns = books["campaigns"]
    assert isinstance(campaigns, dict)
    rows = [
        (campaign or "(none)", currency.upper(), *(_line(lines[name], currency) for name in _COLUMNS))
        for campaign, currencies in list(campaigns.items())[-CAMPAIGNS_SHOWN:][::-1]
        for currency, lines in currencies.items()
    ]
    columns = ["campaign", "in", *(name.replace("_", " ") for name in _COLUMNS)]
    return _section("Campaigns", columns, rows, 2, "No money has moved yet.")


def _payments(sandbox: Sandbox) -> str:
    def row(intent: Intent) -> tuple[Cell, ...]:
        charge = sandbox.state.charges.get(intent.latest_charge or "")
        until = "" if charge is None or charge.capture_before is None else _when(charge.capture_before)
        status: Cell = intent.status.replace("_", " ")
        if intent.status is Status.REQUIRES_ACTION:
            status = Raw(f"<a href='/sandbox/authenticate/{escape(intent.id)}'>{status}: answer for the bank</a>")
        pledge = intent.metadata.get("pledge_id", "")
        failure = "" if intent.last_failure is None else intent.last_failure.decline.decline_code.replace("_", " ")
        return intent.id, pledge, status, failure, _money(intent.amount, intent.currency), until

    columns = ["payment", "pledge", "status", "last failure", "amount", "held until"]
    rows = _newest(sandbox.state.intents, row)
    return _section("Latest payments", columns, rows, 4, "No payment has been asked for yet.")


def _disputes(table: Table[Dispute]) -> str:
    def row(dispute: Dispute) -> tuple[Cell, ...]:
        words = (dispute.id, dispute.intent, dispute.reason.replace("_", " "), dispute.status.replace("_", " "))
        return *words, _money(dispute.amount, dispute.currency)

    columns = ["dispute", "payment", "reason", "status", "amount"]
    return _section("Latest disputes", columns, _newest(table, row), 4, "No payment has been disputed.")


def _transfers(table: Table[Transfer]) -> str:
    def row(transfer: Transfer) -> tuple[Cell, ...]:
        amounts = (_money(minor, transfer.currency) for minor in (transfer.amount, transfer.amount_reversed))
        return transfer.id, transfer.destination, transfer.transfer_group or "", *amounts

    columns = ["transfer", "to", "group", "amount", "reversed"]
    return _section("Latest transfers", columns, _newest(table, row), 3, "Nothing has been paid out.")


def _trouble(sandbox: Sandbox) -> str:
    document, limits = sandbox.faults.document(), sandbox.limiter.limits
    happened = document["happened"]
    assert isinstance(happened, dict)
    planned = [*_plans("request", document["faults"]), *_plans("webhook", document["webhooks"])]
    chance = document["random"]
    if isinstance(chance, dict):
        planned.append(
            ("at random", f"seed {chance['seed']}", f"{chance['rate']:.0%}, webhooks {chance['webhook_rate']:.0%}")
        )
    counted = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in happened.items()) or "none"
    rates = [("all together", limits.overall), ("each endpoint", limits.per_endpoint), *limits.endpoints.items()]
    allowed = ", ".join(f"{escape(name)} {rate:,}/s" for name, rate in rates if rate) or "none"
    return (
        _section("Faults to come", ["what", "kind", "where"], planned, 3, "None is planned.")
        + f"<p>Faults so far: {escape(counted)}.</p><p>Rate limits: {allowed}.</p>"
    )


def _plans(what: str, plans: object) -> list[tuple[Cell, ...]]:
    assert isinstance(plans, list)
    return [(what, f"{plan['kind']}, {plan['count']:,} times", plan.get("path") or plan.get("type")) for plan in plans]


def _newest(table: Table[RowT], row: Callable[[RowT], tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    found, _ = table.page({}, Window(limit=SHOWN))
    return [row(record) for record in found]


def _section(title: str, columns: Sequence[str], rows: Sequence[Iterable[Cell]], texts: int, empty: str) -> str:
    """A table whose first `texts` columns are words, the others figures."""
    if not rows:
        return f"<h2>{title}</h2><p class=empty>{empty}</p>"
    head = "".join(_tag("th", name, text=at < texts) for at, name in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(_tag('td', cell, text=at < texts) for at, cell in enumerate(row))}</tr>" for row in rows
    )
    return f"<h2>{title}</h2><div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _tag(name: str, cell: Cell, *, text: bool) -> str:
    content = cell if isinstance(cell, Raw) else escape(str(cell))
    return f"<{name}{' class=text' if text else ''}>{content}</{name}>"


def _line(line: Mapping[str, int], currency: str) -> Raw:
    if not line["count"]:
        return Raw("<small>&ndash;</small>")
    return Raw(f"{_amount(line['minor'], currency)} <small>({line['count']:,})</small>")


def _money(minor: int, currency: str) -> str:
    return f"{_amount(minor, currency)} {currency.upper()}"


def _amount(minor: int, currency: str) -> str:
    places = decimals(currency)
    whole, part = divmod(abs(minor), 10**places)
    cents = f".{part:0{places}}" if places else ""
    return f"{'-' if minor < 0 else ''}{whole:,}{cents}"


def _when(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")
