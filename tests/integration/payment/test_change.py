"""A change of a pledge through the whole payment service and the sandbox: two holds, then one (DOMAIN P6, Y3, M5)."""

from typing import Any

from contracts.ids import ChangeId, new_id
from contracts.money import Money
from contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentChangeAuthorized, PaymentChangeDeclined
from contracts.pledge import PledgeChanged, PledgeChangeDropped, PledgeChangeRequested, PledgePlaced
from contracts.settlement import CaptureRequested
from tests.integration.house import names
from tests.integration.payment.platform import Platform, euros, until


def requested(placed: PledgePlaced, minor: int = 7000, payment_method: str = "pm_card_visa") -> PledgeChangeRequested:
    return PledgeChangeRequested(
        **_about(placed),
        change_id=ChangeId(new_id()),
        new_amount=euros(minor),
        payment_method=payment_method,
        lease_until=placed.lease_until,
    )


def changed(placed: PledgePlaced, wish: PledgeChangeRequested, hold_id: str) -> PledgeChanged:
    about = {**_about(placed), "amount": wish.new_amount}
    return PledgeChanged(**about, change_id=wish.change_id, hold_id=hold_id, previous_amount=placed.amount)


def dropped(placed: PledgePlaced, wish: PledgeChangeRequested) -> PledgeChangeDropped:
    return PledgeChangeDropped(**_about(placed), change_id=wish.change_id, reason="lease_expired")


def _about(placed: PledgePlaced) -> dict[str, Any]:
    return {name: getattr(placed, name) for name in ("pledge_id", "campaign_id", "backer_id", "amount", "country")}


async def held(platform: Platform) -> tuple[PledgePlaced, str]:
    placed = platform.placed(5000)
    await platform.tell(placed)
    return placed, (await platform.until_said(placed.pledge_id, PaymentAuthorized)).hold_id


async def books_agree(platform: Platform) -> None:
    """At rest there is one hold at most; while a change was under way there were two."""
    await platform.until_quiet()
    ours = await platform.balances()
    held = (await platform.sandbox.line(platform.campaign_id, "held"))[1]
    assert ours.get("holds", 0) == held
    assert sum(ours.values()) == 0
    assert set(await platform.sandbox.anomalies()) <= {"two_live_holds_ever"}


class TestChange:
    async def test_takes_the_new_hold_before_it_releases_the_old(self, platform: Platform) -> None:
        placed, old = await held(platform)
        wish = requested(placed)
        await platform.tell(wish, wish)
        taken = await platform.until_said(placed.pledge_id, PaymentChangeAuthorized)
        assert (taken.change_id, taken.amount) == (wish.change_id, euros(7000))
        assert taken.hold_id != old
        assert await platform.sandbox.line(platform.campaign_id, "held") == (2, 12_000)
        await platform.tell(changed(placed, wish, taken.hold_id))
        await books_agree(platform)
        assert await platform.sandbox.line(platform.campaign_id, "held") == (1, 7000)
        await platform.tell(
            CaptureRequested(pledge_id=placed.pledge_id, campaign_id=platform.campaign_id, amount=euros(7000))
        )
        captured = await platform.until_said(placed.pledge_id, PaymentCaptured)
        assert (captured.hold_id, captured.amount) == (taken.hold_id, euros(7000))
        assert await platform.sandbox.line(platform.campaign_id, "captured") == (1, 7000)
        await books_agree(platform)

    async def test_declined_leaves_the_old_hold(self, platform: Platform) -> None:
        placed, _ = await held(platform)
        wish = requested(placed, payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
        await platform.tell(wish)
        declined = await platform.until_said(placed.pledge_id, PaymentChangeDeclined)
        assert (declined.change_id, declined.reason) == (wish.change_id, "insufficient_funds")
        await platform.tell(dropped(placed, wish))
        await books_agree(platform)
        assert await platform.sandbox.line(platform.campaign_id, "held") == (1, 5000)

    async def test_dropped_after_its_hold_releases_that_one(self, platform: Platform) -> None:
        placed, _ = await held(platform)
        wish = requested(placed)
        await platform.tell(wish)
        await platform.until_said(placed.pledge_id, PaymentChangeAuthorized)
        await platform.tell(dropped(placed, wish))
        await books_agree(platform)
        assert await platform.sandbox.line(platform.campaign_id, "held") == (1, 5000)

    async def test_dropped_while_the_provider_is_slow_is_released_when_its_hold_comes(self, platform: Platform) -> None:
        placed, _ = await held(platform)
        wish = requested(placed)
        await platform.sandbox.fault("delay", seconds=0.5, path="/v1/payment_intents", method="POST")
        await platform.tell(wish)
        await until(lambda: _sent(platform, placed))
        await platform.tell(dropped(placed, wish))
        await platform.until_said(placed.pledge_id, PaymentChangeAuthorized)
        await books_agree(platform)
        assert await platform.sandbox.line(platform.campaign_id, "held") == (1, 5000)

    async def test_dropped_before_it_is_heard_of_takes_nothing(self, platform: Platform) -> None:
        placed, _ = await held(platform)
        wish = requested(placed)
        told = platform.stories.tell(wish, dropped(placed, wish))
        await platform.commit.take_in(told[1:])
        await platform.commit.take_in(told[:1])
        await books_agree(platform)
        assert await platform.sandbox.line(platform.campaign_id, "authorized") == (1, 5000)

    async def test_a_cancellation_while_it_is_undecided_releases_both_holds(self, platform: Platform) -> None:
        placed, _ = await held(platform)
        wish = requested(placed)
        await platform.tell(wish)
        await platform.until_said(placed.pledge_id, PaymentChangeAuthorized)
        told = platform.stories.tell(dropped(placed, wish), platform.cancelled(placed))
        for envelope in (*reversed(told), *told):
            await platform.commit.take_in([envelope])
        await books_agree(platform)
        assert await platform.sandbox.line(platform.campaign_id, "held") == (0, 0)
        assert names(await platform.said(placed.pledge_id)).count("PaymentVoided") == 2

    async def test_a_capture_that_overtakes_its_end_waits_and_takes_the_new_hold_once(self, platform: Platform) -> None:
        placed, _ = await held(platform)
        wish = requested(placed)
        await platform.tell(wish)
        taken = await platform.until_said(placed.pledge_id, PaymentChangeAuthorized)
        amount = Money(amount=7000, currency="EUR")
        await platform.tell(
            CaptureRequested(pledge_id=placed.pledge_id, campaign_id=platform.campaign_id, amount=amount)
        )
        await platform.until_quiet()
        assert await platform.sandbox.line(platform.campaign_id, "captured") == (0, 0)
        await platform.tell(changed(placed, wish, taken.hold_id))
        captured = await platform.until_said(placed.pledge_id, PaymentCaptured)
        assert captured.hold_id == taken.hold_id
        await books_agree(platform)
        assert await platform.sandbox.line(platform.campaign_id, "captured") == (1, 7000)


async def _sent(platform: Platform, placed: PledgePlaced) -> bool:
    query = "SELECT EXISTS (SELECT FROM operation WHERE subject_id = $1 AND change_id IS NOT NULL AND sends > 0)"
    return bool(await platform.pool.fetchval(query, placed.pledge_id))
