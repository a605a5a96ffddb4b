"""What a pledge's money goes through at the card provider, as the payment service asks for it.

The same journeys run on the sandbox (`test_journeys.py`, always) and on Stripe's test mode (`make test-stripe`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from contracts.money import Money
from payment.gateway import (
    ActionRequired,
    Card,
    Declined,
    NoEffect,
    Outcome,
    Provider,
    Request,
    Succeeded,
    Unknown,
)

PATIENCE_SECONDS = 60.0  # Stripe knows the fee of a charge a moment after the charge.


def request(minor: int = 5000, like: Request | None = None, purpose: str = "") -> Request:
    """A call about a new pledge, or another call about the pledge of an earlier one."""
    operation_id = uuid4()
    return Request(
        operation_id=operation_id,
        campaign_id=like.campaign_id if like else uuid4(),
        pledge_id=like.pledge_id if like else uuid4(),
        amount=Money(amount=minor, currency="EUR"),
        key=str(operation_id),
        purpose=purpose,
    )


async def card(provider: Provider, asked: Request, method: str = "pm_card_visa") -> Card:
    customer = await provider.create_customer(replace(asked, key=f"{asked.pledge_id}:customer"))
    assert isinstance(customer, str)
    return Card(customer, method)


async def succeeded(outcome: Outcome, again: Callable[[], Awaitable[Outcome]]) -> Succeeded:
    """The outcome; one that is not known yet is read back, as the worker does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while isinstance(outcome, Unknown) and time.monotonic() < deadline:
        await asyncio.sleep(1)
        outcome = await again()
    assert isinstance(outcome, Succeeded), outcome
    return outcome


async def held(provider: Provider, asked: Request, given: Card) -> Succeeded:
    outcome = await provider.authorize(asked, given)
    return await succeeded(outcome, lambda: provider.find_payment(asked, given.customer))


async def a_hold_is_captured_once(provider: Provider) -> None:
    asked = request()
    given = await card(provider, asked)
    hold = await held(provider, asked, given)
    assert hold.capture_before is not None
    assert hold.capture_before > datetime.now(UTC) + timedelta(days=4)
    assert await held(provider, asked, given) == hold  # the same key is the same hold
    capture = request(4500, like=asked)
    outcome = await provider.capture(capture, hold.reference)
    taken = await succeeded(outcome, lambda: provider.find_capture(capture, hold.reference))
    assert taken.fee is not None
    assert taken.fee.amount > 0
    again = await provider.capture(request(4500, like=asked), hold.reference)  # another attempt finds it done
    assert await succeeded(again, lambda: provider.find_capture(capture, hold.reference)) == taken


async def a_hold_is_released(provider: Provider) -> None:
    asked = request()
    hold = await held(provider, asked, await card(provider, asked))
    void = request(like=asked)
    assert isinstance(await provider.find_void(void, hold.reference), NoEffect)
    assert isinstance(await provider.void(void, hold.reference), Succeeded)
    assert isinstance(await provider.find_void(void, hold.reference), Succeeded)
    assert isinstance(await provider.capture(request(like=asked), hold.reference), Declined)


async def a_hold_is_renewed_when_nobody_is_there(provider: Provider) -> None:
    asked = request()
    given = await card(provider, asked)
    hold = await held(provider, asked, given)
    renewal = request(like=asked)
    off_session = Card(given.customer, hold.payment_method, off_session=True)
    renewed = await held(provider, renewal, off_session)
    assert renewed.reference != hold.reference
    for one in (hold, renewed):
        assert isinstance(await provider.void(request(like=asked), one.reference), Succeeded)


async def a_charge_is_refunded_in_parts(provider: Provider) -> None:
    asked = request()
    given = await card(provider, asked)
    outcome = await provider.charge(asked, given)
    charged = await succeeded(outcome, lambda: provider.find_payment(asked, given.customer))
    for purpose, minor in (("first", 1000), ("second", 4000)):
        refund = request(minor, like=asked, purpose=purpose)
        assert isinstance(await provider.find_refund(refund, charged.reference), NoEffect)
        given_back = await provider.refund(refund, charged.reference)
        assert isinstance(given_back, Succeeded)
        assert await provider.find_refund(refund, charged.reference) == given_back


async def a_saved_card_is_charged_later_and_another_forgotten(provider: Provider) -> None:
    asked = request()
    given = await card(provider, asked)
    saved = await provider.save(asked, given)
    assert isinstance(saved, Succeeded)
    assert await provider.find_saved(asked, given.customer) == saved
    charge = request(like=asked)
    later = Card(given.customer, saved.payment_method, off_session=True)
    outcome = await provider.charge(charge, later)
    assert (await succeeded(outcome, lambda: provider.find_payment(charge, given.customer))).fee is not None
    assert isinstance(await provider.void(request(like=asked), saved.reference), Succeeded)
    assert isinstance(await provider.find_void(request(like=asked), saved.reference), Succeeded)


async def a_bank_that_wants_the_backer_is_waited_for(provider: Provider) -> None:
    asked = request()
    wanted = await provider.authorize(asked, await card(provider, asked, "pm_card_authenticationRequired"))
    assert isinstance(wanted, ActionRequired)
    action = await provider.next_action(wanted.reference)
    assert action is not None
    assert action.client_secret.startswith(wanted.reference)
    assert await provider.follow(request(like=asked), wanted.reference) == wanted
    assert isinstance(await provider.void(request(like=asked), wanted.reference), Succeeded)


async def declines_say_why_and_whether_to_ask_again(provider: Provider) -> None:
    for method, expected in (
        ("pm_card_visa_chargeDeclinedInsufficientFunds", Declined("insufficient_funds")),
        ("pm_card_visa_chargeDeclinedLostCard", Declined("lost_card", hard=True)),
        ("pm_card_chargeDeclinedExpiredCard", Declined("expired_card")),
    ):
        asked = request()
        assert await provider.authorize(asked, await card(provider, asked, method)) == expected


async def what_was_never_asked_for_is_not_found(provider: Provider) -> None:
    asked = request()
    given = await card(provider, asked)
    assert isinstance(await provider.find_payment(asked, given.customer), NoEffect)
    assert isinstance(await provider.find_saved(asked, given.customer), NoEffect)


JOURNEYS: tuple[Callable[[Provider], Awaitable[None]], ...] = (
    a_hold_is_captured_once,
    a_hold_is_released,
    a_hold_is_renewed_when_nobody_is_there,
    a_charge_is_refunded_in_parts,
    a_saved_card_is_charged_later_and_another_forgotten,
    a_bank_that_wants_the_backer_is_waited_for,
    declines_say_why_and_whether_to_ask_again,
    what_was_never_asked_for_is_not_found,
)
