"""The sandbox through Stripe's own SDK; every request and every answer is checked against Stripe's description."""

import pytest
import stripe
from stripe.params import PaymentIntentCreateParams

from tests.contract.stripe_sandbox_server import Sandbox

HOUR_SECONDS = 3_600
DAY_SECONDS = 24 * HOUR_SECONDS
CAMPAIGN = "c-1"


def wanted(card: str = "pm_card_visa", amount: int = 5_000, pledge: str = "p-1") -> PaymentIntentCreateParams:
    """A hold for a pledge, confirmed at once."""
    return {
        "amount": amount,
        "currency": "eur",
        "capture_method": "manual",
        "confirm": True,
        "payment_method": card,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": {"campaign_id": CAMPAIGN, "pledge_id": pledge},
        "expand": ["latest_charge"],
    }


async def hold(sandbox: Sandbox, **kwargs: object) -> stripe.PaymentIntent:
    return await sandbox.sdk.v1.payment_intents.create_async({**wanted(), **kwargs})  # type: ignore[typeddict-item]


def charge_of(intent: stripe.PaymentIntent) -> stripe.Charge:
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


async def event_types(sandbox: Sandbox) -> list[str]:
    events = await sandbox.sdk.v1.events.list_async({"limit": 100})
    return [event.type for event in reversed(events.data)]


class TestHold:
    async def test_reserves_the_amount_and_says_until_when(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        charge = charge_of(intent)
        card = charge.payment_method_details
        assert card is not None
        assert card.card is not None
        assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 5_000, 0)
        assert (charge.captured, charge.amount_captured) == (False, 0)
        assert card.card.capture_before == charge.created + 7 * DAY_SECONDS
        assert await event_types(sandbox) == [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.amount_capturable_updated",
        ]

    @pytest.mark.parametrize(
        ("card", "seconds"),
        [
            ("pm_card_visa", 4 * DAY_SECONDS + 18 * HOUR_SECONDS),
            ("pm_card_mastercard", 7 * DAY_SECONDS),
        ],
    )
    async def test_off_session_visa_holds_are_shorter(self, sandbox: Sandbox, card: str, seconds: int) -> None:
        intent = await hold(sandbox, payment_method=card, off_session=True)
        details = charge_of(intent).payment_method_details
        assert details is not None
        assert details.card is not None
        assert details.card.capture_before == charge_of(intent).created + seconds

    async def test_lapses_when_nobody_captures_it(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        await sandbox.advance(7 * DAY_SECONDS - 60)
        early = await sandbox.sdk.v1.payment_intents.retrieve_async(intent.id)
        await sandbox.advance(60)
        late = await sandbox.sdk.v1.payment_intents.retrieve_async(intent.id)
        assert early.status == "requires_capture"
        assert (late.status, late.cancellation_reason, late.amount_capturable) == ("canceled", "automatic", 0)
        assert (await event_types(sandbox))[-2:] == ["charge.expired", "payment_intent.canceled"]
        assert await sandbox.line(CAMPAIGN, "expired") == (1, 5_000)
        assert await sandbox.line(CAMPAIGN, "held") == (0, 0)

    async def test_without_a_return_url_automatic_methods_are_refused(self, sandbox: Sandbox) -> None:
        parameters = wanted()
        del parameters["automatic_payment_methods"]
        with pytest.raises(stripe.InvalidRequestError, match="return_url"):
            await sandbox.sdk.v1.payment_intents.create_async(parameters)
        assert await event_types(sandbox) == []

    async def test_in_steps_create_then_confirm(self, sandbox: Sandbox) -> None:
        intents = sandbox.sdk.v1.payment_intents
        bare = await intents.create_async(
            {
                "amount": 700,
                "currency": "eur",
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "capture_method": "manual",
            }
        )
        confirmed = await intents.confirm_async(bare.id, {"payment_method": "pm_card_mastercard"})
        assert bare.status == "requires_payment_method"
        assert confirmed.status == "requires_capture"


class TestCapture:
    async def test_takes_the_money_and_its_fee(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        taken = await sandbox.sdk.v1.payment_intents.capture_async(
            intent.id, {"expand": ["latest_charge.balance_transaction"]}
        )
        movement = charge_of(taken).balance_transaction
        assert isinstance(movement, stripe.BalanceTransaction)
        assert (taken.status, taken.amount_received, taken.amount_capturable) == ("succeeded", 5_000, 0)
        assert (movement.amount, movement.fee, movement.net) == (5_000, 100, 4_900)
        assert (await event_types(sandbox))[-2:] == ["charge.captured", "payment_intent.succeeded"]

    async def test_of_a_part_releases_the_rest(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        taken = await sandbox.sdk.v1.payment_intents.capture_async(
            intent.id, {"amount_to_capture": 2_000, "expand": ["latest_charge"]}
        )
        charge = charge_of(taken)
        assert (taken.amount_received, charge.amount_captured, charge.amount_refunded) == (2_000, 2_000, 3_000)
        assert charge.refunded is False
        assert await sandbox.line(CAMPAIGN, "released") == (1, 3_000)
        with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
            await sandbox.sdk.v1.refunds.create_async({"payment_intent": intent.id, "amount": 2_001})

    async def test_of_more_than_is_held_is_refused(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await sandbox.sdk.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 5_001})
        assert refused.value.code == "amount_too_large"

    async def test_happens_once(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        await sandbox.sdk.v1.payment_intents.capture_async(intent.id)
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await sandbox.sdk.v1.payment_intents.capture_async(intent.id)
        assert refused.value.error is not None
        assert refused.value.error.code == "payment_intent_unexpected_state"
        assert refused.value.error.payment_intent is not None
        assert refused.value.error.payment_intent.status == "succeeded"

    async def test_can_fail_with_the_card_made_for_it(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox, payment_method="pm_card_captureFails")
        with pytest.raises(stripe.CardError) as declined:
            await sandbox.sdk.v1.payment_intents.capture_async(intent.id)
        after = await sandbox.sdk.v1.payment_intents.retrieve_async(intent.id)
        assert declined.value.code == "card_declined"
        assert (after.status, after.amount_capturable) == ("requires_payment_method", 0)
        assert await sandbox.line(CAMPAIGN, "capture_failed") == (1, 5_000)
        assert await sandbox.line(CAMPAIGN, "held") == (0, 0)

    async def test_at_once_when_the_method_is_automatic(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox, capture_method="automatic")
        assert (intent.status, intent.amount_received) == ("succeeded", 5_000)
        assert charge_of(intent).balance_transaction is not None
        assert await sandbox.line(CAMPAIGN, "authorized") == (1, 5_000)
        assert await sandbox.line(CAMPAIGN, "captured") == (1, 5_000)


class TestCancel:
    async def test_releases_the_hold(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        ended = await sandbox.sdk.v1.payment_intents.cancel_async(
            intent.id, {"cancellation_reason": "requested_by_customer", "expand": ["latest_charge"]}
        )
        assert (ended.status, ended.cancellation_reason) == ("canceled", "requested_by_customer")
        assert (charge_of(ended).captured, charge_of(ended).refunded) == (False, True)
        assert await sandbox.line(CAMPAIGN, "voided") == (1, 5_000)

    async def test_of_a_captured_payment_is_refused(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox, capture_method="automatic")
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await sandbox.sdk.v1.payment_intents.cancel_async(intent.id)
        assert refused.value.code == "payment_intent_unexpected_state"


class TestDecline:
    @pytest.mark.parametrize(
        ("card", "code", "decline_code", "advice"),
        [
            ("pm_card_chargeDeclined", "card_declined", "generic_decline", "try_again_later"),
            (
                "pm_card_visa_chargeDeclinedInsufficientFunds",
                "card_declined",
                "insufficient_funds",
                "try_again_later",
            ),
            ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card", "do_not_try_again"),
            ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card", "do_not_try_again"),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card", "confirm_card_data"),
            ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc", "confirm_card_data"),
            ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error", "try_again_later"),
        ],
    )
    async def test_is_a_card_error_with_its_intent(
        self, sandbox: Sandbox, card: str, code: str, decline_code: str, advice: str
    ) -> None:
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, payment_method=card)
        error = declined.value.error
        assert error is not None
        assert error.payment_intent is not None
        assert (declined.value.http_status, error.code) == (402, code)
        assert (error.decline_code, error.advice_code) == (decline_code, advice)
        assert error.payment_intent.status == "requires_payment_method"
        assert await sandbox.line(CAMPAIGN, "declined") == (1, 5_000)
        assert (await event_types(sandbox))[-2:] == ["charge.failed", "payment_intent.payment_failed"]

    async def test_leaves_room_for_another_card(self, sandbox: Sandbox) -> None:
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, payment_method="pm_card_chargeDeclined")
        assert declined.value.error is not None
        assert declined.value.error.payment_intent is not None
        confirmed = await sandbox.sdk.v1.payment_intents.confirm_async(
            declined.value.error.payment_intent.id, {"payment_method": "pm_card_mastercard"}
        )
        assert (confirmed.status, confirmed.last_payment_error) == ("requires_capture", None)


class TestAuthentication:
    async def test_is_asked_for_and_passed(self, sandbox: Sandbox) -> None:
        intent = await hold(
            sandbox, payment_method="pm_card_authenticationRequired", return_url="https://example.test/back"
        )
        assert intent.next_action is not None
        assert intent.next_action.redirect_to_url is not None
        url = intent.next_action.redirect_to_url.url
        assert intent.status == "requires_action"
        assert url == f"{sandbox.base}/sandbox/authenticate/{intent.id}"
        page = await sandbox.raw.get(url)
        answer = await sandbox.authenticate(intent.id, "passed")
        after = await sandbox.sdk.v1.payment_intents.retrieve_async(intent.id)
        assert (page.status_code, answer.headers["location"]) == (200, "https://example.test/back")
        assert (after.status, after.next_action) == ("requires_capture", None)

    async def test_failed_wants_another_card(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox, payment_method="pm_card_threeDSecure2Required")
        await sandbox.authenticate(intent.id, "failed")
        after = await sandbox.sdk.v1.payment_intents.retrieve_async(intent.id)
        assert after.status == "requires_payment_method"
        assert after.last_payment_error is not None
        assert after.last_payment_error.code == "payment_intent_authentication_failure"

    async def test_off_session_is_a_decline(self, sandbox: Sandbox) -> None:
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, payment_method="pm_card_authenticationRequired", off_session=True)
        assert declined.value.code == "authentication_required"

    async def test_may_be_turned_into_an_error(self, sandbox: Sandbox) -> None:
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, payment_method="pm_card_authenticationRequired", error_on_requires_action=True)
        assert declined.value.code == "authentication_required"

    async def test_is_not_asked_twice_once_the_card_is_set_up(self, sandbox: Sandbox) -> None:
        customer = await sandbox.sdk.v1.customers.create_async()
        intent = await hold(
            sandbox,
            payment_method="pm_card_authenticationRequiredOnSetup",
            customer=customer.id,
            setup_future_usage="off_session",
        )
        await sandbox.authenticate(intent.id, "passed")
        again = await hold(sandbox, payment_method=str(intent.payment_method), customer=customer.id, off_session=True)
        assert (intent.status, again.status) == ("requires_action", "requires_capture")


class TestCustomers:
    async def test_payments_are_found_by_customer_newest_first(self, sandbox: Sandbox) -> None:
        customers = [await sandbox.sdk.v1.customers.create_async({"metadata": {"n": str(n)}}) for n in range(2)]
        made = [(await hold(sandbox, customer=customers[n % 2].id)).id for n in range(7)]
        found = await sandbox.sdk.v1.payment_intents.list_async({"customer": customers[0].id, "limit": 3})
        ids = [intent.id async for intent in found.auto_paging_iter()]
        assert found.has_more is True
        assert ids == made[::2][::-1]

    async def test_an_attached_card_is_good_for_more_than_one_payment(self, sandbox: Sandbox) -> None:
        customer = await sandbox.sdk.v1.customers.create_async()
        method = await sandbox.sdk.v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id})
        seen = await sandbox.sdk.v1.payment_methods.retrieve_async(method.id)
        first = await hold(sandbox, customer=customer.id, payment_method=method.id)
        second = await hold(sandbox, customer=customer.id, payment_method=method.id)
        assert (seen.customer, seen.id) == (customer.id, method.id)
        assert first.id != second.id
        assert second.status == "requires_capture"

    async def test_a_card_used_without_a_customer_is_spent(self, sandbox: Sandbox) -> None:
        first = await hold(sandbox)
        with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
            await hold(sandbox, payment_method=str(first.payment_method))

    async def test_another_customers_card_is_refused(self, sandbox: Sandbox) -> None:
        mine, other = [await sandbox.sdk.v1.customers.create_async() for _ in range(2)]
        method = await sandbox.sdk.v1.payment_methods.attach_async("pm_card_visa", {"customer": mine.id})
        with pytest.raises(stripe.InvalidRequestError, match="belongs to a customer"):
            await hold(sandbox, customer=other.id, payment_method=method.id)

    async def test_a_declining_card_is_declined_when_attached(self, sandbox: Sandbox) -> None:
        customer = await sandbox.sdk.v1.customers.create_async()
        with pytest.raises(stripe.CardError):
            await sandbox.sdk.v1.payment_methods.attach_async("pm_card_chargeDeclined", {"customer": customer.id})
        late = await sandbox.sdk.v1.payment_methods.attach_async(
            "pm_card_chargeCustomerFail", {"customer": customer.id}
        )
        with pytest.raises(stripe.CardError):
            await hold(sandbox, customer=customer.id, payment_method=late.id)


class TestRefundsAndTransfers:
    async def test_a_refund_gives_back_in_parts_and_never_more_than_was_taken(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox, capture_method="automatic")
        refunds = sandbox.sdk.v1.refunds
        part = await refunds.create_async({"payment_intent": intent.id, "amount": 1_000})
        rest = await refunds.create_async({"payment_intent": intent.id, "reason": "requested_by_customer"})
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await refunds.create_async({"payment_intent": intent.id})
        listed = await refunds.list_async({"payment_intent": intent.id})
        assert (part.amount, rest.amount) == (1_000, 4_000)
        assert refused.value.code == "charge_already_refunded"
        assert [refund.id for refund in listed.data] == [rest.id, part.id]
        assert (await refunds.retrieve_async(part.id)).amount == 1_000
        assert await sandbox.line(CAMPAIGN, "refunded") == (2, 5_000)

    async def test_a_hold_cannot_be_refunded(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        with pytest.raises(stripe.InvalidRequestError, match="not been captured"):
            await sandbox.sdk.v1.refunds.create_async({"payment_intent": intent.id})

    async def test_a_transfer_needs_the_money(self, sandbox: Sandbox) -> None:
        transfers = sandbox.sdk.v1.transfers
        await hold(sandbox, capture_method="automatic")
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await transfers.create_async({"amount": 4_901, "currency": "eur", "destination": "acct_creator"})
        sent = await transfers.create_async(
            {
                "amount": 4_900,
                "currency": "eur",
                "destination": "acct_creator",
                "transfer_group": CAMPAIGN,
                "metadata": {"campaign_id": CAMPAIGN},
            }
        )
        listed = await transfers.list_async({"transfer_group": CAMPAIGN})
        balance = await sandbox.sdk.v1.balance.retrieve_async()
        assert refused.value.code == "balance_insufficient"
        assert [transfer.id for transfer in listed.data] == [sent.id]
        assert [(amount.currency, amount.amount) for amount in balance.available] == [("eur", 0)]
        assert await sandbox.line(CAMPAIGN, "transferred") == (1, 4_900)


class TestBooks:
    async def test_agree_with_what_the_api_tells(self, sandbox: Sandbox) -> None:
        intents = sandbox.sdk.v1.payment_intents
        for number in range(12):
            intent = await hold(sandbox, amount=1_000 + number, metadata=_names(number))
            match number % 4:
                case 0:
                    await intents.capture_async(intent.id)
                case 1:
                    await intents.capture_async(intent.id, {"amount_to_capture": 600})
                case 2:
                    await intents.cancel_async(intent.id)
                case _:
                    pass  # stays held
        charged = [intent async for intent in (await intents.list_async()).auto_paging_iter()]
        movements = await sandbox.sdk.v1.balance_transactions.list_async({"type": "charge", "limit": 100})
        held = [intent.amount_capturable for intent in charged if intent.status == "requires_capture"]
        taken = [intent.amount_received for intent in charged if intent.status == "succeeded"]
        assert await sandbox.line(CAMPAIGN, "authorized") == (12, sum(intent.amount for intent in charged))
        assert await sandbox.line(CAMPAIGN, "held") == (3, sum(held))
        assert await sandbox.line(CAMPAIGN, "captured") == (6, sum(taken))
        assert await sandbox.line(CAMPAIGN, "fees") == (6, sum(row.fee for row in movements.data))
        assert sum(row.amount for row in movements.data) == sum(taken)

    async def test_point_at_double_holds_and_double_charges(self, sandbox: Sandbox) -> None:
        intents = sandbox.sdk.v1.payment_intents
        first, second = await hold(sandbox), await hold(sandbox)
        both = await sandbox.raw.get("/sandbox/books")
        await intents.capture_async(first.id)
        one = await sandbox.raw.get("/sandbox/books")
        await intents.capture_async(second.id)
        none = await sandbox.raw.get("/sandbox/books")
        page = await sandbox.raw.get("/sandbox")
        named = {"count": 1, "pledge_ids": ["p-1"]}
        nobody = {"count": 0, "pledge_ids": []}
        assert both.json()["anomalies"]["two_live_holds"] == named
        assert one.json()["anomalies"] == {
            "two_live_holds": nobody,
            "two_live_holds_ever": named,
            "charged_twice": nobody,
        }
        assert none.json()["anomalies"]["charged_twice"] == named
        assert CAMPAIGN in page.text


def _names(number: int) -> dict[str, str]:
    return {"campaign_id": CAMPAIGN, "pledge_id": f"p-{number}"}


class TestEvents:
    async def test_show_the_object_as_it_was_then_and_who_asked(self, sandbox: Sandbox) -> None:
        intent = await sandbox.sdk.v1.payment_intents.create_async(wanted(), {"idempotency_key": "hold-1"})
        await sandbox.sdk.v1.payment_intents.cancel_async(intent.id)
        held = await sandbox.sdk.v1.events.list_async({"type": "payment_intent.amount_capturable_updated"})
        again = await sandbox.sdk.v1.events.retrieve_async(held.data[0].id)
        assert again.request is not None
        assert again.data.object["status"] == "requires_capture"
        assert again.request.idempotency_key == "hold-1"

    async def test_can_be_asked_for_by_time_and_types(self, sandbox: Sandbox) -> None:
        await hold(sandbox)
        await sandbox.advance(HOUR_SECONDS)
        late = await hold(sandbox)
        found = await sandbox.sdk.v1.events.list_async(
            {"created": {"gte": late.created}, "types": ["charge.succeeded", "charge.captured"]}
        )
        assert [event.data.object["payment_intent"] for event in found.data] == [late.id]
        await sandbox.advance(31 * DAY_SECONDS)
        gone = await sandbox.sdk.v1.events.list_async({"type": "charge.succeeded"})
        assert gone.data == []
