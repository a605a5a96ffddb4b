"""What everybody says about the small scenario when all went well: ten of twelve captured, two released."""

from typing import Any
from uuid import UUID

from scenarios.evidence import Books, Evidence, Mails
from scenarios.model import Scenario, Tally
from scenarios.people import Cast, Person
from scenarios.play import PlacedPledge, Play
from tests.unit.scenarios.files import RIGHT

NOBODY = Person(UUID(int=1), "", "", "", "")
FEES, PLATFORM_FEE = 400, 500  # The provider's, and five per cent of what was captured.
PAYOUT = 10_000 - FEES - PLATFORM_FEE


def play() -> Play:
    scenario = Scenario.model_validate(RIGHT)
    group = scenario.phases[0].pledge[0]
    countries = ["DE"] * 8 + ["FR"] * 4
    pledges = [
        PlacedPledge(str(at), group, NOBODY, country, 0.0, "cancelled" if at < 2 else "authorized")
        for at, country in enumerate(countries)
    ]
    return Play(
        scenario,
        Cast(NOBODY, {}),
        tier_ids={"seat": "t-1"},
        pledges=pledges,
        cancelled=2,
        page_at_rest=_page("active"),
    )


def evidence() -> Evidence:
    return Evidence(
        page=_page("funded"),
        settlement={
            "outcome": "funded",
            "captured": _tally(10, 10_000),
            "dropped": _tally(0, 0),
            "voided": _tally(0, 0),
        },
        analytics=_analytics(),
        ledger={"platform_fees": -PLATFORM_FEE, "provider_receivable": PLATFORM_FEE, "payouts": PAYOUT}
        | {"campaign_payable": -PAYOUT},
        books=_books(),
        mails=Mails(
            {"pledge_confirmed": 12, "pledge_cancelled": 2, "campaign_funded": 10, "milestone": 30}
            | {"creator_settled": 1, "creator_payout": 1},
            56,
            0,
        ),
    )


def _page(status: str) -> dict[str, Any]:
    milestones = [
        {"percent": percent, "stretch_goal": None, "crossed_at": "2027-01-01T00:00:00Z"}
        for percent in (25, 50, 75, 100)
    ]
    return {
        "status": status,
        "backers": 10,
        "pledged": {"amount": 10_000, "currency": "EUR"},
        "milestones": milestones,
        "policy": {"platform_fee_bps": 500},
    }


def _tally(count: int, minor: int) -> dict[str, Any]:
    return {"count": count, "total": {"amount": minor, "currency": "EUR"}}


def _analytics() -> dict[str, Any]:
    return {
        "totals": {"backers": 10, "pledged": {"amount": 10_000, "currency": "EUR"}},
        "funnel": {"placed": 12, "declined": 0, "dropped": 0},
        "countries": [{"country": "DE", "backers": 6}, {"country": "FR", "backers": 4}],
        "tiers": [{"tier_id": "t-1", "backers": 10}, {"tier_id": None, "backers": 0}],
        "milestones": [{"percent": percent, "stretch_goal": None} for percent in (25, 50, 75, 100)],
    }


def _books() -> Books:
    lines = {
        "authorized": Tally(count=12, amount=12_000),
        "captured": Tally(count=10, amount=10_000),
        "voided": Tally(count=2, amount=2_000),
        "fees": Tally(count=10, amount=FEES),
        "transferred": Tally(count=1, amount=PAYOUT),
    }
    return Books(lines, {"two_live_holds": 0, "charged_twice": 0})
