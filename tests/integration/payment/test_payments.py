"""A pledge's money from its order to its end, through the whole service and the real SDK (DOMAIN Y1 to Y3, P8)."""

from contracts.campaign import PaymentStrategy
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from tests.integration.house import names
from tests.integration.payment.platform import Platform, euros


class TestHold:
    async def test_is_taken_and_captured(self, platform: Platform) -> None:
        placed = platform.placed(5000)
        await platform.tell(placed)
        authorized = await platform.until_said(placed.pledge_id, PaymentAuthorized)
        assert authorized.amount == euros(5000)
        assert authorized.hold_id.startswith("pi_")
        assert authorized.capture_before is not None
        await platform.books_agree()
        await platform.tell(platform.capture(placed))
        captured = await platform.until_said(placed.pledge_id, PaymentCaptured)
        assert (captured.amount, captured.hold_id) == (euros(5000), authorized.hold_id)
        assert captured.provider_fee == euros(100)  # 1.5 % and 25 cents
        assert await platform.sandbox.line(platform.campaign_id, "captured") == (1, 5000)
        await platform.books_agree()

    async def test_is_voided_when_asked(self, platform: Platform) -> None:
        placed = platform.placed()
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentAuthorized)
        await platform.tell(platform.void(placed))
        await platform.until_said(placed.pledge_id, PaymentVoided)
        assert await platform.sandbox.line(platform.campaign_id, "voided") == (1, 5000)
        assert await platform.balances() == {}
        await platform.books_agree()

    async def test_a_declined_card_is_told_with_its_reason(self, platform: Platform) -> None:
        soft = platform.placed(payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
        hard = platform.placed(payment_method="pm_card_visa_chargeDeclinedLostCard")
        missing = platform.placed(payment_method="pm_nobody_knows")
        await platform.tell(soft, hard, missing)
        declined = [await platform.until_said(p.pledge_id, PaymentDeclined) for p in (soft, hard, missing)]
        assert [(d.reason, d.hard) for d in declined] == [
            ("insufficient_funds", False),
            ("lost_card", True),
            ("resource_missing", True),
        ]
        assert await platform.balances() == {}

    async def test_a_capture_that_fails_gives_the_hold_up(self, platform: Platform) -> None:
        placed = platform.placed(payment_method="pm_card_captureFails")
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentAuthorized)
        await platform.tell(platform.capture(placed))
        failed = await platform.until_said(placed.pledge_id, PaymentCaptureFailed)
        assert failed.reason == "insufficient_funds"
        await platform.books_agree()

    async def test_one_that_lapsed_is_told_and_the_card_charged_once_instead(self, platform: Platform) -> None:
        placed = platform.placed()
        await platform.tell(placed)
        authorized = await platform.until_said(placed.pledge_id, PaymentAuthorized)
        await platform.sandbox.raw.post("/sandbox/clock", json={"advance_seconds": 8 * 86_400})
        await platform.tell(platform.capture(placed))
        captured = await platform.until_said(placed.pledge_id, PaymentCaptured)
        assert captured.hold_id != authorized.hold_id
        assert names(await platform.said(placed.pledge_id)) == ["PaymentAuthorized", "PaymentAtRisk", "PaymentCaptured"]
        assert await platform.sandbox.line(platform.campaign_id, "captured") == (1, 5000)
        await platform.books_agree()


class TestCharge:
    async def test_is_taken_at_once(self, platform: Platform) -> None:
        placed = platform.placed(8000, strategy=PaymentStrategy.IMMEDIATE)
        await platform.tell(placed)
        captured = await platform.until_said(placed.pledge_id, PaymentCaptured)
        assert (captured.amount, captured.provider_fee) == (euros(8000), euros(145))
        assert names(await platform.said(placed.pledge_id)) == ["PaymentCaptured"]
        await platform.books_agree()

    async def test_is_refunded_when_the_pledge_is_cancelled(self, platform: Platform) -> None:
        placed = platform.placed(8000, strategy=PaymentStrategy.IMMEDIATE)
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        await platform.tell(platform.cancelled(placed))
        refunded = await platform.until_said(placed.pledge_id, PaymentRefunded)
        assert refunded.amount == euros(8000)
        assert await platform.sandbox.line(platform.campaign_id, "refunded") == (1, 8000)
        await platform.books_agree()

    async def test_a_capture_asked_for_afterwards_changes_nothing(self, platform: Platform) -> None:
        placed = platform.placed(strategy=PaymentStrategy.IMMEDIATE)
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        await platform.tell(platform.capture(placed))
        assert names(await platform.said(placed.pledge_id)) == ["PaymentCaptured"]
        assert await platform.operations(placed.pledge_id) == [("charge", 1, "done")]


class TestOvertaking:
    async def test_a_cancellation_before_the_order_lets_nothing_happen(self, platform: Platform) -> None:
        placed = platform.placed()
        await platform.tell(platform.cancelled(placed))
        await platform.tell(placed)
        assert await platform.said(placed.pledge_id) == []
        assert await platform.operations(placed.pledge_id) == []

    async def test_a_cancellation_with_the_order_sends_nothing(self, platform: Platform) -> None:
        placed = platform.placed()
        await platform.tell(placed, platform.cancelled(placed))
        await platform.until_quiet()
        assert await platform.operations(placed.pledge_id) == [("authorize", 1, "skipped")]
        assert await platform.sandbox.line(platform.campaign_id, "authorized") == (0, 0)

    async def test_a_cancellation_during_the_authorization_voids_what_comes_in(self, platform: Platform) -> None:
        await platform.sandbox.fault("delay", seconds=0.5, path="/v1/payment_intents")
        placed = platform.placed()
        await platform.tell(placed)
        while await platform.operations(placed.pledge_id) != [("authorize", 1, "leased")]:
            pass
        await platform.tell(platform.declined(placed))
        await platform.until_said(placed.pledge_id, PaymentVoided)
        assert names(await platform.said(placed.pledge_id)) == ["PaymentAuthorized", "PaymentVoided"]
        await platform.books_agree()

    async def test_a_capture_asked_for_before_the_hold_is_known_waits_for_it(self, platform: Platform) -> None:
        placed = platform.placed()
        await platform.tell(platform.capture(placed))
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        assert names(await platform.said(placed.pledge_id)) == ["PaymentAuthorized", "PaymentCaptured"]
        await platform.books_agree()

    async def test_everything_told_twice_happens_once(self, platform: Platform) -> None:
        placed = platform.placed()
        story = platform.stories.tell(placed, platform.capture(placed))
        await platform.commit.take_in([*story, *reversed(story)])
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        await platform.commit.take_in(story)
        await platform.until_quiet()
        assert await platform.operations(placed.pledge_id) == [("authorize", 1, "done"), ("capture", 1, "done")]
        await platform.books_agree()
