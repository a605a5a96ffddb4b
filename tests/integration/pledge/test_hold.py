"""Renewed, threatened and lost holds, money given back and disputed, on a real database (DOMAIN Y3, Y4, Y8, Y9, M4)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from contracts.ids import new_id
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentChangeAuthorized,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFact,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
)
from eventing.rebuild import rebuild
from pledge.projections import PLEDGES_PROJECTION
from tests.integration.house import START, House, names
from tests.integration.pledge.backers import DEADLINE, LEASE_SECONDS, Backers, euros, launched
from tests.integration.pledge.door import Door
from tests.integration.pledge.test_http import body
from tests.integration.pledge.test_life import assert_books_add_up

SOON = START + timedelta(days=5)


def said(kind: type[PaymentFact], minor: int = 2500, **more: Any) -> Callable[..., Any]:
    """A fact of payment's about a pledge that is named later."""
    return lambda **about: kind(**about, amount=euros(minor), **more)


def renewed(previous: str, hold_id: str) -> Callable[..., Any]:
    return said(PaymentHoldRenewed, previous_hold_id=previous, hold_id=hold_id, capture_before=SOON)


def at_risk(hold_id: str, *, lost: bool = False, hard: bool = False) -> Callable[..., Any]:
    reason = "hold_lost" if lost else "lost_card" if hard else "do_not_honor"
    return said(PaymentAtRisk, hold_id=hold_id, reason=reason, lost=lost, hard=hard)


def voided(hold_id: str, *, spare: bool) -> Callable[..., Any]:
    return said(PaymentVoided, hold_id=hold_id, spare=spare)


def given_back(total: int) -> Callable[..., Any]:
    return said(PaymentRefunded, 500, hold_id="pi_1", refunded=euros(total))


AUTHORIZED: Final = said(PaymentAuthorized, hold_id="pi_1", capture_before=START)
CAPTURED: Final = said(PaymentCaptured, hold_id="pi_1", provider_fee=euros(30))
OPENED: Final = said(PaymentDisputeOpened, dispute_id="dp_1", reason="fraudulent", fee=euros(15))
LOST: Final = said(PaymentDisputeClosed, dispute_id="dp_1", won=False, fee_returned=euros(0))
# What payment says, in its order, and where the pledge ends: status, whether the hold is lost, minor units given back.
LIVES: Final[tuple[tuple[tuple[Callable[..., Any], ...], tuple[str, bool, int]], ...]] = (
    ((AUTHORIZED, renewed("pi_1", "pi_2"), voided("pi_1", spare=True)), ("authorized", False, 0)),
    ((AUTHORIZED, at_risk("pi_1", lost=False)), ("at_risk", False, 0)),
    (
        (AUTHORIZED, at_risk("pi_1", lost=False), at_risk("pi_1", lost=True), renewed("pi_1", "pi_2")),
        ("authorized", False, 0),
    ),
    (
        (AUTHORIZED, at_risk("pi_1", lost=False), renewed("pi_1", "pi_2"), at_risk("pi_2", lost=True)),
        ("at_risk", True, 0),
    ),
    (
        (AUTHORIZED, renewed("pi_1", "pi_2"), renewed("pi_2", "pi_3"), voided("pi_3", spare=False)),
        ("voided", False, 0),
    ),
    (
        (said(PaymentActionRequired, hold_id="pi_1"), AUTHORIZED, CAPTURED, given_back(500), given_back(900)),
        ("captured", False, 900),
    ),
    ((AUTHORIZED, CAPTURED, OPENED, LOST), ("captured", False, 0)),
    ((CAPTURED, given_back(500), OPENED, given_back(2500)), ("refunded", False, 2500)),
)


@pytest.mark.parametrize("seed", range(3))
async def test_in_any_order_and_doubled_on_two_replicas_they_end_the_same(two_replicas: House, seed: int) -> None:
    backers, draw = Backers(two_replicas), random.Random(seed)
    campaign_id = await backers.launch()
    views = [await backers.place(campaign_id) for _ in LIVES * 3]
    told = [
        envelope
        for view, (facts, _) in zip(views, LIVES * 3, strict=True)
        for envelope in backers.stories.tell(
            *(fact(pledge_id=view.pledge_id, campaign_id=campaign_id) for fact in facts)
        )
    ] * 2
    draw.shuffle(told)
    parts = [told[at : at + 9] for at in range(0, len(told), 9)]
    await asyncio.gather(*(two_replicas.replicas[n % 2].take_in(part) for n, part in enumerate(parts)))
    ended = [await backers.view(view.pledge_id) for view in views]
    assert await two_replicas.parked() == []
    assert [(one.status, one.hold_lost, one.refunded_minor) for one in ended] == [end for _, end in LIVES * 3]
    assert [one.at_risk_since is not None for one in ended] == [one.status == "at_risk" for one in ended]
    await assert_books_add_up(two_replicas, backers, campaign_id)
    said = await two_replicas.said()
    told_of = Counter(names(said))
    assert (told_of["PledgeDisputeOpened"], told_of["PledgeDisputeClosed"]) == (6, 3)
    shown = "SELECT * FROM pledge_view ORDER BY pledge_id", "SELECT * FROM pledge_buckets"
    live = [await two_replicas.pool.fetch(sql) for sql in shown]
    await rebuild(two_replicas.pool, two_replicas.definition, PLEDGES_PROJECTION)
    assert [await two_replicas.pool.fetch(sql) for sql in shown] == live


async def test_a_part_given_back_is_in_the_bucket_of_what_has_ended(pledges: House, backers: Backers) -> None:
    campaign_id = await backers.launch()
    view = await backers.place(campaign_id)
    about = {"pledge_id": view.pledge_id, "campaign_id": campaign_id}
    await backers.hear(CAPTURED(**about), given_back(500)(**about))
    row = await pledges.pool.fetchrow("SELECT * FROM pledge_buckets WHERE campaign_id = $1", campaign_id)
    assert row is not None
    assert (row["captured"], row["captured_minor"], row["ended"], row["ended_minor"]) == (1, 2000, 0, 500)


class TestShown:
    async def test_a_backer_whom_the_bank_wants_is_led_on_and_nothing_secret_is_shown(self, door: Door) -> None:
        backer, about, path = await self._placed(door)
        assert (await door.get(path, backer)).json()["next_action"] is None
        await door.hear(said(PaymentActionRequired, hold_id="pi_secret")(**about))
        answer = await door.get(path, backer)
        until = (START + timedelta(seconds=LEASE_SECONDS)).isoformat().replace("+00:00", "Z")
        assert answer.json()["status"] == "action_required"
        assert answer.json()["next_action"] == {"type": "authenticate", "link": f"{path}/next-action", "until": until}
        assert "pi_secret" not in answer.text
        await door.hear(AUTHORIZED(**about))
        assert (await door.get(path, backer)).json()["next_action"] is None

    async def test_so_is_one_who_changes_a_pledge(self, door: Door) -> None:
        backer, about, path = await self._placed(door)
        await door.hear(AUTHORIZED(**about))
        wish = {"amount": {"amount": 4000, "currency": "EUR"}}
        assert (await door.send("PATCH", path, wish, person_id=backer)).status_code == 202
        change_id = UUID((await door.get(path, backer)).json()["change"]["id"])
        await door.hear(said(PaymentActionRequired, 4000, hold_id="pi_2", change_id=change_id)(**about))
        shown = (await door.get(path, backer)).json()
        assert (shown["status"], shown["next_action"]["link"]) == ("authorized", f"{path}/next-action")
        assert shown["next_action"]["until"] == shown["change"]["decide_by"]
        await door.hear(said(PaymentChangeAuthorized, 4000, hold_id="pi_2", change_id=change_id)(**about))
        assert (await door.get(path, backer)).json()["next_action"] is None

    async def test_who_is_at_risk_reads_what_helps_and_another_card_does(self, door: Door) -> None:
        backer, about, path = await self._placed(door)
        await door.hear(AUTHORIZED(**about), at_risk("pi_1", lost=True)(**about))
        shown = (await door.get(path, backer)).json()
        assert (shown["status"], shown["at_risk"]["lost"]) == ("at_risk", True)
        assert "another card until 2027-03-31T12:00:00Z" in shown["at_risk"]["detail"]
        assert {"hold_id", "capture_before"}.isdisjoint(shown)
        door.set_time(DEADLINE - timedelta(milliseconds=1))
        wish = {"payment_method": "pm_other"}
        assert (await door.send("PATCH", path, wish, person_id=backer)).status_code == 202
        change_id = UUID((await door.get(path, backer)).json()["change"]["id"])
        await door.hear(said(PaymentChangeAuthorized, hold_id="pi_2", change_id=change_id)(**about))
        mended = (await door.get(path, backer)).json()
        assert (mended["status"], mended["at_risk"]) == ("authorized", None)

    @pytest.mark.parametrize(
        ("risks", "lost", "needs_another_card"),
        [
            ((at_risk("pi_1"),), False, False),
            ((at_risk("pi_1", hard=True),), False, True),
            ((at_risk("pi_1"), at_risk("pi_1", hard=True)), False, True),
            ((at_risk("pi_1", lost=True), at_risk("pi_1", hard=True)), True, True),
            ((at_risk("pi_1", hard=True), at_risk("pi_1", lost=True)), True, True),
            ((at_risk("pi_1", hard=True), renewed("pi_1", "pi_2"), at_risk("pi_2")), False, False),
        ],
    )
    async def test_who_is_at_risk_reads_whether_the_card_is_tried_again(
        self, door: Door, risks: tuple[Callable[..., Any], ...], lost: bool, needs_another_card: bool
    ) -> None:
        backer, about, path = await self._placed(door)
        for fact in (AUTHORIZED, *risks):
            await door.hear(fact(**about))
        risk = (await door.get(path, backer)).json()["at_risk"]
        assert (risk["lost"], risk["needs_another_card"]) == (lost, needs_another_card)
        assert ("we do not try this card again" in risk["detail"]) is needs_another_card
        assert ("we try again" in risk["detail"]) is not needs_another_card

    async def test_what_was_given_back_is_shown(self, door: Door) -> None:
        backer, about, path = await self._placed(door)
        await door.hear(CAPTURED(**about))
        assert (await door.get(path, backer)).json()["refunded"] is None
        await door.hear(given_back(500)(**about))
        shown = (await door.get(path, backer)).json()
        assert (shown["status"], shown["refunded"]) == ("captured", {"amount": 500, "currency": "EUR"})

    async def _placed(self, door: Door) -> tuple[UUID, dict[str, Any], str]:
        """Its backer, what every fact about it names, and its address."""
        campaign, backer = launched(), new_id()
        await door.hear(campaign)
        placed = (await door.post(f"/campaigns/{campaign.campaign_id}/pledges", body(), person_id=backer)).json()
        about = {"pledge_id": UUID(placed["id"]), "campaign_id": campaign.campaign_id}
        return backer, about, placed["links"]["self"]
