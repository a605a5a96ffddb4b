"""What a pledge contributes to the numbers of its campaign (DOMAIN A1): pure arithmetic."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from analytics.domain import (
    NO_TIER,
    OTHERS,
    STATUS_AFTER,
    UNKNOWN_DAY,
    Measures,
    PledgeRow,
    Status,
    contribution,
    difference,
    follow,
    negative,
)
from contracts.campaign import PaymentStrategy
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, TierId, new_id
from contracts.money import Money
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeFact,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from contracts.subscriptions import SUBSCRIPTIONS

EVENING = datetime.fromisoformat("2027-03-01T23:30:00-02:00")
DISPUTE = {
    "creator_id": PersonId(new_id()),
    "dispute_id": "dp_1",
    "disputed": Money(amount=60, currency="EUR"),
}
MORE: dict[type[PledgeFact], dict[str, Any]] = {
    PledgePlaced: {
        "payment_method": "pm_card_visa",
        "strategy": PaymentStrategy.HOLD,
        "placed_at": EVENING,
        "lease_until": EVENING,
    },
    PledgeAuthorized: {"hold_id": "pi_1"},
    PledgeHoldRenewed: {"previous_hold_id": "pi_1", "hold_id": "pi_2"},
    PledgeAtRisk: {"reason": "card_declined"},
    PledgePartlyRefunded: {"refunded": Money(amount=30, currency="EUR")},
    PledgeDisputeOpened: {**DISPUTE, "reason": "fraudulent"},
    PledgeDisputeClosed: {**DISPUTE, "won": False},
    PledgeDeclined: {"reason": "card_declined"},
    PledgeCancelled: {"reason": "backer", "cancelled_at": EVENING},
    PledgeCaptureFailed: {"reason": "card_declined"},
    PledgeChanged: {
        "change_id": ChangeId(new_id()),
        "hold_id": "pi_2",
        "previous_amount": Money(amount=1, currency="EUR"),
    },
}


def told(kind: type[PledgeFact], before: PledgeRow | None = None, minor: int = 100, **more: Any) -> PledgeRow:
    fact = kind(
        pledge_id=PledgeId(new_id()),
        campaign_id=CampaignId(new_id()),
        backer_id=PersonId(new_id()),
        tier_id=TierId(new_id()),
        amount=Money(amount=minor, currency="EUR"),
        country="DE",
        **{**MORE.get(kind, {}), **more},
    )
    return follow(before, fact, 1 if before is None else before.version + 1)


def after(*kinds: type[PledgeFact]) -> Measures:
    """What a pledge with this life contributes."""
    row = None
    for kind in kinds:
        row = told(kind, row)
    assert row is not None
    return Measures(*contribution(row))


PLACED = {"placed": 1, "placed_minor": 100}
LIVE = {"secured": 1, "live": 1, "live_minor": 100, "claimed": 1}
CHARGED = LIVE | {"captured": 1, "captured_minor": 100}
PARTLY = {"live_minor": 70, "captured_minor": 70, "refunded_minor": 30}


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        ([PledgePlaced], {"claimed": 1}),
        ([PledgePlaced, PledgeDeclined], {"declined": 1}),
        ([PledgePlaced, PledgeCancelled], {"cancelled": 1}),
        ([PledgePlaced, PledgeAuthorized], LIVE),
        ([PledgePlaced, PledgeAuthorized, PledgeChanged], LIVE),
        ([PledgePlaced, PledgeAuthorized, PledgeChanged, PledgeCancelled], {"secured": 1, "cancelled": 1}),
        ([PledgePlaced, PledgeCaptured], LIVE | {"captured": 1, "captured_minor": 100}),
        ([PledgePlaced, PledgeAuthorized, PledgeCaptured], LIVE | {"captured": 1, "captured_minor": 100}),
        ([PledgePlaced, PledgeAuthorized, PledgeCancelled], {"secured": 1, "cancelled": 1}),
        ([PledgePlaced, PledgeAuthorized, PledgeVoided], {"secured": 1, "voided": 1}),
        (
            [PledgePlaced, PledgeAuthorized, PledgeCaptureFailed],
            {"secured": 1, "capture_failed": 1, "claimed": 1},
        ),
        ([PledgePlaced, PledgeAuthorized, PledgeCaptureFailed, PledgeDropped], {"secured": 1, "dropped": 1}),
        ([PledgePlaced, PledgeActionRequired], {"claimed": 1}),
        ([PledgePlaced, PledgeAuthorized, PledgeAtRisk], LIVE | {"at_risk": 1, "at_risk_minor": 100}),
        ([PledgePlaced, PledgeAuthorized, PledgeAtRisk, PledgeHoldRenewed], LIVE),
        ([PledgePlaced, PledgeCaptured, PledgePartlyRefunded], CHARGED | PARTLY),
        (
            [PledgePlaced, PledgeCaptured, PledgePartlyRefunded, PledgeDisputeOpened],
            CHARGED | PARTLY | {"disputes": 1, "disputed_minor": 60},
        ),
        (
            [PledgePlaced, PledgeCaptured, PledgeDisputeOpened, PledgeDisputeClosed],
            CHARGED | {"disputes_lost": 1, "lost_minor": 60},
        ),
        ([PledgePlaced, PledgeCaptured, PledgeRefunded], {"secured": 1, "refunded": 1, "refunded_minor": 100}),
    ],
    ids=lambda value: "-".join(kind.__name__ for kind in value) if isinstance(value, list) else "",
)
def test_each_life_of_a_pledge_counts_once_where_it_stands(
    life: list[type[PledgeFact]], expected: dict[str, int]
) -> None:
    assert after(*life) == Measures(**(PLACED | expected))


def test_every_fact_about_a_pledge_that_comes_in_is_known() -> None:
    assert {*STATUS_AFTER, *OTHERS} == {event for event in SUBSCRIPTIONS["analytics"] if issubclass(event, PledgeFact)}


def test_a_changed_pledge_counts_with_its_new_amount_and_stays_charged_in_keep_it_all() -> None:
    changed = told(PledgeChanged, told(PledgeAuthorized, told(PledgePlaced)), minor=250)
    assert contribution(changed) == contribution(told(PledgeAuthorized, told(PledgePlaced), minor=250))
    charged = told(PledgeCaptured, told(PledgePlaced))
    assert told(PledgeChanged, charged, hold_id=None).status is Status.CAPTURED


def test_the_day_is_the_one_in_utc_and_unknown_until_the_first_event_comes() -> None:
    assert told(PledgePlaced).placed_on == date(2027, 3, 2)
    assert EVENING.astimezone(UTC).day == 2
    assert told(PledgeAuthorized).placed_on == UNKNOWN_DAY
    assert told(PledgeAuthorized, told(PledgePlaced)).placed_on == date(2027, 3, 2)


def test_a_pledge_without_a_reward_has_a_tier_of_its_own() -> None:
    fact = PledgeVoided(
        pledge_id=PledgeId(new_id()),
        campaign_id=CampaignId(new_id()),
        backer_id=PersonId(new_id()),
        amount=Money(amount=1, currency="EUR"),
        country="DE",
    )
    assert follow(None, fact, 1).tier_id == NO_TIER


def test_a_change_moves_the_sums_from_what_was_to_what_is() -> None:
    before, now = told(PledgeAuthorized, minor=100), told(PledgeCaptured, minor=250)
    moved = Measures(*difference(contribution(before), contribution(now)))
    assert moved == Measures(captured=1, placed_minor=150, live_minor=150, captured_minor=250)
    assert difference(contribution(now), contribution(now)) == (0,) * 21
    assert negative(contribution(before)) == difference(contribution(before), (0,) * 21)


def test_status_names_are_those_that_clients_see() -> None:
    assert {status.value for status in Status} >= {"pending", "authorized", "captured", "capture_failed", "refunded"}
