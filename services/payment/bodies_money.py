"""What comes in and goes out over HTTP about refunds, disputes and statements."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.money import AMOUNT_MINOR_MAX, Currency, Money
from contracts.payment import PayoutKind, PayoutSent
from payment import statement
from payment.domain_refunds import Progress, Refund, RefundReason
from payment.statement import Line, LineKind
from payment.tables import DisputeRow, DisputeState

_PLEDGE: Final = "0190f2c4-0000-7000-8000-000000000000"
_CAMPAIGN: Final = "0190f2c4-0000-7000-8000-000000000001"
_REFUND: Final = "0190f2c4-0000-7000-8000-000000000005"
_REFUNDED: Final[dict[str, Any]] = {
    "refund_id": _REFUND,
    "pledge_id": _PLEDGE,
    "amount": {"amount": 1000, "currency": "EUR"},
    "reason": "cannot_deliver",
    "status": "given",
    "at": "2027-05-01T12:00:00Z",
    "provider_id": "re_3",
    "failure": None,
    "links": {"self": f"/pledges/{_PLEDGE}/refunds/{_REFUND}", "refunds": f"/pledges/{_PLEDGE}/refunds"},
}
_DISPUTE: Final[dict[str, Any]] = {
    "dispute_id": "du_1",
    "pledge_id": _PLEDGE,
    "amount": {"amount": 2500, "currency": "EUR"},
    "fee": {"amount": 1500, "currency": "EUR"},
    "reason": "product_not_received",
    "status": "open",
    "opened_at": "2027-05-01T12:00:00Z",
    "closed_at": None,
}


def _euros(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


_DAY: Final = {"date": "2027-04-01", "pledge_id": None}
_STATEMENT: Final[dict[str, Any]] = {
    "campaign_id": _CAMPAIGN,
    "lines": [
        {**_DAY, "kind": "capture", "count": 2, "amount": _euros(5000)},
        {**_DAY, "kind": "provider_fee", "count": 2, "amount": _euros(-125)},
        {**_DAY, "kind": "platform_fee", "count": 1, "amount": _euros(-250)},
        {**_DAY, "kind": "payout", "count": 1, "amount": _euros(-4625)},
    ],
    "totals": [
        {"kind": "capture", "count": 2, "amount": _euros(5000)},
        {"kind": "provider_fee", "count": 2, "amount": _euros(-125)},
        {"kind": "platform_fee", "count": 1, "amount": _euros(-250)},
        {"kind": "payout", "count": 1, "amount": _euros(-4625)},
    ],
    "payouts": [
        {
            "number": 1,
            "kind": "main",
            "amount": _euros(4625),
            "sent_at": "2027-04-01T12:00:00Z",
            "transfer_id": "tr_1",
            "parts": [
                {"kind": "capture", "amount": _euros(5000)},
                {"kind": "provider_fee", "amount": _euros(-125)},
                {"kind": "platform_fee", "amount": _euros(-250)},
            ],
        }
    ],
    "balance": _euros(0),
    "payout_waits": None,
}


def _shows(example: Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(frozen=True, json_schema_extra={"examples": [dict(example)]})


class Price(BaseModel):
    """Money to be given back, in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int = Field(ge=1, le=AMOUNT_MINOR_MAX, strict=True, examples=[1000])
    currency: Currency


class RefundBody(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"amount": _euros(1000), "reason": "cannot_deliver"}]},
    )

    amount: Price | None = Field(None, description="Left out: all that is left")
    reason: RefundReason


class RefundOut(BaseModel):
    """`refund_id` is null for one that was not ordered here, such as in the card processor's dashboard."""

    model_config = _shows(_REFUNDED)

    refund_id: UUID | None
    pledge_id: UUID
    amount: Money
    reason: str
    status: Progress = Field(description="`given`: the money is on its way to the backer's bank")
    at: datetime
    provider_id: str | None = Field(None, description="The card processor's id, once it is given")
    failure: str | None = Field(None, description="Why it could not be given")
    links: dict[str, str]

    @classmethod
    def of(cls, pledge_id: UUID, refund: Refund) -> Self:
        path = f"/pledges/{pledge_id}/refunds"
        mine = {"self": f"{path}/{refund.refund_id}"} if refund.refund_id else {}
        return cls(
            refund_id=refund.refund_id,
            pledge_id=pledge_id,
            amount=refund.amount,
            reason=refund.reason,
            status=refund.progress,
            at=refund.at,
            provider_id=refund.provider_id or None,
            failure=refund.failure or None,
            links=mine | {"refunds": path},
        )


class Refunds(BaseModel):
    model_config = _shows({"items": [_REFUNDED]})

    items: list[RefundOut]


class ShownDispute(BaseModel):
    model_config = _shows(_DISPUTE)

    dispute_id: str = Field(description="The card processor's id: it is answered in its dashboard")
    pledge_id: UUID
    amount: Money
    fee: Money = Field(description="What the card processor keeps for it")
    reason: str
    status: DisputeState
    opened_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, row: DisputeRow) -> Self:
        return cls(
            dispute_id=row.dispute_id,
            pledge_id=row.pledge_id,
            amount=Money(amount=row.amount, currency=row.currency),
            fee=Money(amount=row.fee, currency=row.currency),
            reason=row.reason,
            status=row.state,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
        )


class DisputePage(BaseModel):
    model_config = _shows({"items": [_DISPUTE], "links": {"next": None}})

    items: list[ShownDispute]
    links: dict[str, str | None]


class StatementLine(BaseModel):
    model_config = ConfigDict(frozen=True)

    date: date
    kind: LineKind
    count: int
    amount: Money = Field(description="Positive: for the creator")
    pledge_id: UUID | None


class StatementTotal(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: LineKind
    count: int
    amount: Money


class PayoutPart(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: LineKind
    amount: Money


class StatementPayout(BaseModel):
    """`parts` sum to `amount`. `transfer_id` is null where all of it was kept back or recovered."""

    model_config = ConfigDict(frozen=True)

    number: int
    kind: PayoutKind
    amount: Money
    sent_at: datetime
    transfer_id: str | None
    parts: list[PayoutPart]


class Statement(BaseModel):
    """`lines` sum to `balance`: still to be paid out, or owed when negative. Null while nothing is booked."""

    model_config = _shows(_STATEMENT)

    campaign_id: UUID
    lines: list[StatementLine]
    totals: list[StatementTotal]
    payouts: list[StatementPayout]
    balance: Money | None
    payout_waits: str | None = Field(description="Why the payout does not go out; null: it does not wait")

    @classmethod
    def of(
        cls,
        campaign_id: UUID,
        lines: Sequence[Line],
        payouts: Sequence[tuple[PayoutSent, datetime]],
        payout_waits: str | None,
    ) -> Self:
        return cls(
            campaign_id=campaign_id,
            lines=[
                StatementLine(date=one.day, kind=one.kind, count=one.count, amount=one.amount, pledge_id=one.pledge_id)
                for one in lines
            ],
            totals=[
                StatementTotal(kind=one.kind, count=one.count, amount=one.amount) for one in statement.totals(lines)
            ],
            payouts=[_payout(fact, at) for fact, at in payouts],
            balance=statement.balance(lines),
            payout_waits=payout_waits,
        )


def _payout(fact: PayoutSent, at: datetime) -> StatementPayout:
    return StatementPayout(
        number=fact.number,
        kind=fact.kind,
        amount=fact.amount,
        sent_at=at,
        transfer_id=fact.transfer_id or None,
        parts=[PayoutPart(kind=kind, amount=amount) for kind, amount in statement.parts(fact)],
    )
