"""Which call of the provider an operation is, and which one reads back what became of it."""

from typing import assert_never
from uuid import UUID

from contracts.money import Money
from payment.domain_events import Kind
from payment.gateway import Card, NoEffect, Outcome, Provider, Request
from payment.tables import OperationRow


async def send(provider: Provider, row: OperationRow, destination: str) -> Outcome:  # noqa: PLR0911 - one a kind
    """`destination`: the account that all payouts go to; empty: one by creator."""
    request = request_of(row)
    match row.kind:
        case Kind.AUTHORIZE:
            return await provider.authorize(request, _card(row))
        case Kind.CHARGE:
            return await provider.charge(request, _card(row))
        case Kind.SAVE:
            return await provider.save(request, _card(row))
        case Kind.CAPTURE:
            return await provider.capture(request, row.counterpart)
        case Kind.VOID:
            return await provider.void(request, row.counterpart)
        case Kind.REFUND:
            return await provider.refund(request, row.counterpart)
        case Kind.FOLLOW:
            return await provider.follow(request, row.counterpart)
        case Kind.PAYOUT:
            return await provider.transfer(request, destination or account_of(UUID(row.counterpart)))
        case _:
            assert_never(row.kind)


async def find(provider: Provider, row: OperationRow) -> Outcome:  # noqa: PLR0911 - one a kind
    """Moves nothing. A creation without a customer was never sent."""
    request = request_of(row)
    match row.kind:
        case Kind.AUTHORIZE | Kind.CHARGE | Kind.SAVE:
            if row.reference is not None:  # an event has named it: there is no list to look through
                return await provider.follow(request, row.reference)
            if row.customer is None:
                return NoEffect("nothing is sent without a customer")
            search = provider.find_saved if row.kind is Kind.SAVE else provider.find_payment
            return await search(request, row.customer)
        case Kind.CAPTURE:
            return await provider.find_capture(request, row.counterpart)
        case Kind.VOID:
            return await provider.find_void(request, row.counterpart)
        case Kind.REFUND:
            return await provider.find_refund(request, row.counterpart)
        case Kind.FOLLOW:
            return await provider.follow(request, row.counterpart)
        case Kind.PAYOUT:
            return await provider.find_transfer(request)
        case _:
            assert_never(row.kind)


async def find_forgotten(provider: Provider, row: OperationRow) -> Outcome:
    """What a restored database may have sent and forgotten, and what followed."""
    if row.kind is Kind.FOLLOW:
        return await provider.follow(request_of(row), row.counterpart, forgotten=True)
    if row.kind not in {Kind.AUTHORIZE, Kind.CHARGE, Kind.CAPTURE} or row.customer is None:
        return await find(provider, row)
    return await provider.find_forgotten(request_of(row), row.customer, takes=row.kind is not Kind.AUTHORIZE)


def account_of(creator_id: UUID) -> str:
    """The creator's connected account, by the convention of the sandbox and of demos: `acct_` and the person's id."""
    return f"acct_{creator_id.hex}"


def request_of(row: OperationRow) -> Request:
    return Request(
        operation_id=row.operation_id,
        campaign_id=row.campaign_id,
        pledge_id=None if row.kind is Kind.PAYOUT else row.subject_id,
        amount=Money(amount=row.amount, currency=row.currency),
        key=row.key,
        purpose=row.purpose,
    )


def _card(row: OperationRow) -> Card:
    assert row.customer is not None, "a customer is made before a payment"
    return Card(row.customer, row.counterpart, off_session=row.off_session, extended=row.extended)
