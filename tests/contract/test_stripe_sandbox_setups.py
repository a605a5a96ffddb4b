"""Saved cards in the sandbox: setup intents, payments that save the card, and what a saved card is good for."""

from typing import cast

import pytest
import stripe
from stripe.params import SetupIntentCreateParams

from tests.contract.stripe_sandbox_server import Sandbox
from tests.contract.test_stripe_sandbox import event_types, hold

RETURN_URL = "https://example.test/back"


async def new_customer(sandbox: Sandbox) -> str:
    return (await sandbox.sdk.v1.customers.create_async({"metadata": {"pledge_id": "p-1"}})).id


async def set_up(sandbox: Sandbox, customer: str, card: str = "pm_card_visa", **more: object) -> stripe.SetupIntent:
    params = {
        "customer": customer,
        "payment_method": card,
        "confirm": True,
        "usage": "off_session",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": {"pledge_id": "p-1", "operation_id": "o-1"},
    }
    return await sandbox.sdk.v1.setup_intents.create_async(cast("SetupIntentCreateParams", {**params, **more}))


class TestSetup:
    async def test_attaches_the_card_and_makes_it_good_off_session(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        done = await set_up(sandbox, customer)
        method = await sandbox.sdk.v1.payment_methods.retrieve_async(str(done.payment_method))
        assert (done.status, done.usage) == ("succeeded", "off_session")
        assert method.customer == customer
        assert (await event_types(sandbox))[1:] == [
            "setup_intent.created",
            "payment_method.attached",
            "setup_intent.succeeded",
        ]
        for _ in range(2):
            charged = await hold(sandbox, customer=customer, payment_method=method.id, off_session=True)
            assert charged.status == "requires_capture"

    async def test_may_ask_the_bank_which_answers_on_its_page(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        asked = await set_up(sandbox, customer, "pm_card_authenticationRequiredOnSetup", return_url=RETURN_URL)
        assert asked.next_action is not None
        assert asked.next_action.redirect_to_url is not None
        url = asked.next_action.redirect_to_url.url
        page = await sandbox.raw.get(str(url))
        answer = await sandbox.authenticate(asked.id, "passed")
        after = await sandbox.sdk.v1.setup_intents.retrieve_async(asked.id, {"expand": ["payment_method"]})
        assert (asked.status, url) == ("requires_action", f"{sandbox.base}/sandbox/authenticate/{asked.id}")
        assert "charge your card later" in page.text
        assert answer.headers["location"] == RETURN_URL
        assert (after.status, after.next_action) == ("succeeded", None)
        assert isinstance(after.payment_method, stripe.PaymentMethod)
        assert after.payment_method.customer == customer
        assert (await event_types(sandbox))[-3:] == [
            "setup_intent.requires_action",
            "payment_method.attached",
            "setup_intent.succeeded",
        ]

    async def test_without_a_return_url_stripe_js_is_told_where(self, sandbox: Sandbox) -> None:
        asked = await set_up(sandbox, await new_customer(sandbox), "pm_card_authenticationRequired")
        assert asked.next_action is not None
        assert asked.next_action.type == "use_stripe_sdk"
        assert asked.next_action.use_stripe_sdk is not None
        assert asked.next_action.use_stripe_sdk["stripe_js"].endswith(asked.id)

    async def test_failed_at_the_bank_wants_another_card(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        asked = await set_up(sandbox, customer, "pm_card_authenticationRequiredOnSetup")
        await sandbox.authenticate(asked.id, "failed")
        after = await sandbox.sdk.v1.setup_intents.retrieve_async(asked.id)
        assert after.last_setup_error is not None
        assert (after.status, after.last_setup_error.code) == (
            "requires_payment_method",
            "setup_intent_authentication_failure",
        )
        again = await sandbox.sdk.v1.setup_intents.confirm_async(asked.id, {"payment_method": "pm_card_mastercard"})
        assert (again.status, again.last_setup_error) == ("succeeded", None)
        assert (await sandbox.authenticate(asked.id, "passed")).status_code == 400

    @pytest.mark.parametrize(
        ("card", "code"),
        [
            ("pm_card_chargeDeclined", "generic_decline"),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("pm_card_visa_chargeDeclinedLostCard", "lost_card"),
        ],
    )
    async def test_of_a_declining_card_is_a_card_error_with_its_intent(
        self, sandbox: Sandbox, card: str, code: str
    ) -> None:
        customer = await new_customer(sandbox)
        with pytest.raises(stripe.CardError) as declined:
            await set_up(sandbox, customer, card)
        error = declined.value.error
        assert error is not None
        assert error.setup_intent is not None
        assert (declined.value.http_status, error.decline_code) == (402, code)
        assert error.setup_intent.status == "requires_payment_method"
        assert (await event_types(sandbox))[-1] == "setup_intent.setup_failed"

    async def test_a_card_that_fails_later_can_be_set_up(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        done = await set_up(sandbox, customer, "pm_card_chargeCustomerFail")
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, customer=customer, payment_method=str(done.payment_method), off_session=True)
        assert (done.status, declined.value.code) == ("succeeded", "card_declined")

    async def test_in_steps_and_cancelled(self, sandbox: Sandbox) -> None:
        setups = sandbox.sdk.v1.setup_intents
        bare = await setups.create_async({"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}})
        with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
            await setups.confirm_async(bare.id)
        ended = await setups.cancel_async(bare.id, {"cancellation_reason": "abandoned"})
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await setups.confirm_async(bare.id, {"payment_method": "pm_card_visa"})
        assert (bare.status, ended.status) == ("requires_payment_method", "canceled")
        assert refused.value.error is not None
        assert refused.value.error.code == "setup_intent_unexpected_state"
        assert refused.value.error.setup_intent is not None
        with pytest.raises(stripe.InvalidRequestError):
            await setups.cancel_async(bare.id)

    async def test_are_listed_by_customer_newest_first(self, sandbox: Sandbox) -> None:
        mine, other = await new_customer(sandbox), await new_customer(sandbox)
        made = [(await set_up(sandbox, customer)).id for customer in (mine, other, mine)]
        found = await sandbox.sdk.v1.setup_intents.list_async({"customer": mine})
        assert [setup.id for setup in found.data] == [made[2], made[0]]
        assert found.data[0].metadata is not None
        assert found.data[0].metadata["operation_id"] == "o-1"

    async def test_needs_a_card_that_is_free_and_a_customer_that_exists(self, sandbox: Sandbox) -> None:
        mine = await new_customer(sandbox)
        done = await set_up(sandbox, mine)
        with pytest.raises(stripe.InvalidRequestError, match="belongs to a customer"):
            await set_up(sandbox, await new_customer(sandbox), str(done.payment_method))
        with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
            await set_up(sandbox, "cus_none")
        with pytest.raises(stripe.InvalidRequestError, match="return_url"):
            await sandbox.sdk.v1.setup_intents.create_async({"payment_method": "pm_card_visa", "confirm": True})
        with pytest.raises(stripe.InvalidRequestError) as missing:
            await sandbox.sdk.v1.setup_intents.retrieve_async("seti_none")
        assert missing.value.http_status == 404


class TestSavedCard:
    async def test_a_payment_may_save_its_card(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        first = await hold(sandbox, customer=customer, setup_future_usage="off_session")
        method = await sandbox.sdk.v1.payment_methods.retrieve_async(str(first.payment_method))
        later = await hold(sandbox, customer=customer, payment_method=method.id, off_session=True)
        assert (method.customer, later.status) == (customer, "requires_capture")
        assert "payment_method.attached" in await event_types(sandbox)

    async def test_that_always_wants_its_owner_is_declined_off_session(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        asked = await set_up(sandbox, customer, "pm_card_authenticationRequired")
        await sandbox.authenticate(asked.id, "passed")
        method = str(asked.payment_method)
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, customer=customer, payment_method=method, off_session=True)
        assert declined.value.code == "authentication_required"
        back = await hold(sandbox, customer=customer, payment_method=method)
        await sandbox.authenticate(back.id, "passed")
        after = await sandbox.sdk.v1.payment_intents.retrieve_async(back.id)
        assert (back.status, after.status) == ("requires_action", "requires_capture")

    async def test_only_attached_is_not_set_up(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        method = await sandbox.sdk.v1.payment_methods.attach_async(
            "pm_card_authenticationRequiredOnSetup", {"customer": customer}
        )
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, customer=customer, payment_method=method.id, off_session=True)
        assert declined.value.code == "authentication_required"

    async def test_once_detached_is_gone_for_good(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        done = await set_up(sandbox, customer)
        methods = sandbox.sdk.v1.payment_methods
        gone = await methods.detach_async(str(done.payment_method))
        assert gone.customer is None
        assert (await event_types(sandbox))[-1] == "payment_method.detached"
        with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
            await hold(sandbox, payment_method=gone.id)
        with pytest.raises(stripe.InvalidRequestError, match="may not be attached"):
            await methods.attach_async(gone.id, {"customer": customer})
        with pytest.raises(stripe.InvalidRequestError, match="not attached"):
            await methods.detach_async(gone.id)

    async def test_the_bank_may_turn_against_it_and_relent(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        method = str((await set_up(sandbox, customer)).payment_method)
        live = await hold(sandbox, customer=customer, payment_method=method, off_session=True)
        turned = await sandbox.raw.post(
            "/sandbox/cards", json={"payment_method": method, "decline": "insufficient_funds"}
        )
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, customer=customer, payment_method=method, off_session=True)
        assert declined.value.error is not None
        assert declined.value.error.decline_code == "insufficient_funds"
        taken = await sandbox.sdk.v1.payment_intents.capture_async(live.id)
        await sandbox.raw.post("/sandbox/cards", json={"payment_method": method, "authentication": "always"})
        with pytest.raises(stripe.CardError) as asked:
            await hold(sandbox, customer=customer, payment_method=method, off_session=True)
        relented = await sandbox.raw.post(
            "/sandbox/cards", json={"payment_method": method, "decline": None, "authentication": "never"}
        )
        again = await hold(sandbox, customer=customer, payment_method=method, off_session=True)
        assert turned.json()["decline"] == "insufficient_funds"
        assert (taken.status, asked.value.code) == ("succeeded", "authentication_required")
        assert (relented.json()["decline"], again.status) == (None, "requires_capture")

    async def test_a_capture_fails_when_its_card_was_made_to(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        method = str((await set_up(sandbox, customer)).payment_method)
        await sandbox.raw.post("/sandbox/cards", json={"payment_method": method, "capture_decline": "lost_card"})
        intent = await hold(sandbox, customer=customer, payment_method=method)
        with pytest.raises(stripe.CardError):
            await sandbox.sdk.v1.payment_intents.capture_async(intent.id)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"payment_method": "pm_none", "decline": "lost_card"}, 404),
            ({"payment_method": "pm_card_visa", "decline": "lost_card"}, 404),
            ({"payment_method": "pm_none", "decline": "bad_mood"}, 400),
            ({"payment_method": "pm_none", "authentication": "sometimes"}, 400),
            ({"decline": "lost_card"}, 400),
            ({}, 400),
        ],
    )
    async def test_a_bank_that_says_nonsense_is_refused(
        self, sandbox: Sandbox, body: dict[str, str], status: int
    ) -> None:
        answer = await sandbox.raw.post("/sandbox/cards", json=body)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


class TestAction:
    async def test_a_payment_waits_with_its_secret_and_where_to_go(self, sandbox: Sandbox) -> None:
        customer = await new_customer(sandbox)
        asked = await hold(sandbox, customer=customer, payment_method="pm_card_threeDSecure2Required")
        listed = await sandbox.sdk.v1.payment_intents.list_async({"customer": customer})
        assert asked.next_action is not None
        assert asked.next_action.use_stripe_sdk is not None
        assert (asked.status, asked.next_action.type) == ("requires_action", "use_stripe_sdk")
        assert asked.client_secret is not None
        assert asked.client_secret.startswith(f"{asked.id}_secret_")
        assert [(intent.id, intent.metadata["pledge_id"]) for intent in listed.data] == [(asked.id, "p-1")]

    async def test_that_nobody_wants_fails_the_attempt(self, sandbox: Sandbox) -> None:
        with pytest.raises(stripe.CardError) as declined:
            await hold(sandbox, payment_method="pm_card_authenticationRequired", error_on_requires_action=True)
        error = declined.value.error
        assert error is not None
        assert error.payment_intent is not None
        assert (error.code, error.decline_code) == ("authentication_required", "authentication_not_handled")
        assert error.payment_intent.status == "requires_payment_method"
        assert (await event_types(sandbox))[-1] == "payment_intent.payment_failed"

    @pytest.mark.parametrize("wish", ["any", "challenge"])
    async def test_may_be_asked_for(self, sandbox: Sandbox, wish: str) -> None:
        options = {"card": {"request_three_d_secure": wish}}
        payment = await hold(sandbox, payment_method_options=options)
        setup = await set_up(sandbox, await new_customer(sandbox), payment_method_options=options)
        assert (payment.status, setup.status) == ("requires_action", "requires_action")


class TestExtendedAuthorization:
    @pytest.mark.parametrize(
        ("card", "hours", "status"),
        [
            ("pm_card_visa", 29 * 24 + 18, "enabled"),
            ("pm_card_mastercard", 30 * 24, "enabled"),
            ("pm_card_amex", 30 * 24, "enabled"),
            ("pm_card_discover", 30 * 24, "enabled"),
            ("pm_card_jcb", 7 * 24, "disabled"),
        ],
    )
    @pytest.mark.parametrize("off_session", [False, True])
    async def test_lasts_as_the_network_allows(
        self, sandbox: Sandbox, card: str, hours: int, status: str, *, off_session: bool
    ) -> None:
        options = {"card": {"request_extended_authorization": "if_available"}}
        intent = await hold(sandbox, payment_method=card, payment_method_options=options, off_session=off_session)
        charge = intent.latest_charge
        assert isinstance(charge, stripe.Charge)
        assert charge.payment_method_details is not None
        details = charge.payment_method_details.card
        assert details is not None
        assert details.extended_authorization is not None
        assert details.capture_before is not None
        assert details.extended_authorization.status == status
        assert details.capture_before - charge.created == hours * 3_600

    async def test_is_not_given_unasked(self, sandbox: Sandbox) -> None:
        intent = await hold(
            sandbox,
            payment_method="pm_card_mastercard",
            payment_method_options={"card": {"request_extended_authorization": "never"}},
        )
        charge = intent.latest_charge
        assert isinstance(charge, stripe.Charge)
        assert charge.payment_method_details is not None
        assert charge.payment_method_details.card is not None
        assert charge.payment_method_details.card.capture_before == charge.created + 7 * 86_400
