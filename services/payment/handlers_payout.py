"""Payouts inside the group's transaction (DOMAIN Y10): asked for, checked against the ledger, sent, concluded."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from contracts.ids import CampaignId, PersonId
from contracts.payment import PayoutSent
from contracts.settlement import PayoutRequested
from eventing.definition import Answer
from eventing.work import Fold, Need, Recorded, Work
from payment import cases, domain_payout, ledger, tables
from payment.budget import lane_of
from payment.cases import CaseKind
from payment.domain_events import Kind
from payment.domain_payout import Payout, Terms, Totals, Wanted
from payment.domain_payout_events import PayoutStarted, PayoutStopped
from payment.gateway import Decided
from payment.leasing import READ_BACK_FROM_SEND
from payment.tables import (
    CAMPAIGNS,
    CREATORS,
    OPERATIONS,
    PAYOUTS,
    CreatorRow,
    OperationRow,
    PayoutRow,
    PayoutState,
    State,
)

PAYOUT = Fold(domain_payout.evolve)

DOUBT_SECONDS: Final = 5.0  # A payout in doubt waits for facts that are on their way.
NOTHING_LEFT_SECONDS: Final = 3_600.0  # Those that could change it wake it themselves.


@dataclass(frozen=True)
class CheckPayout:
    """`creator_id` and `currency` name the row that is locked: of a creator one payout at a time is worked out."""

    campaign_id: UUID
    creator_id: UUID
    currency: str
    reserve_bps: int
    reserve_days: int


def on_payout_requested(work: Work, recorded: Recorded) -> None:
    event: PayoutRequested = recorded.event
    if work.get(PAYOUTS, event.campaign_id) is not None:
        return
    row = PayoutRow(
        campaign_id=event.campaign_id,
        creator_id=event.creator_id,
        captured=event.captured.amount,
        currency=event.captured.currency,
        platform_fee_bps=event.platform_fee_bps,
        state=PayoutState.WAITING,
        doubt="",
        due_at=work.now,
    )
    work.put(PAYOUTS, row)


def check_payout(work: Work, command: CheckPayout) -> Answer:
    """Start a campaign's next payout if the ledger has something for it; else wait and say why."""
    row = work.get(PAYOUTS, command.campaign_id)
    if work.get(CREATORS, command.creator_id, command.currency) is None:
        work.put(CREATORS, CreatorRow(command.creator_id, command.currency))
    if row is None or row.state is not PayoutState.WAITING:
        return {"started": False, "doubt": ""}
    ledger_says: dict[UUID, Totals] = dict(work.read)
    books = ledger_says.pop(row.campaign_id, Totals())
    if row.reserve_until is not None and row.reserve_until <= work.now:
        row, books = replace(row, reserve_until=None), _release(work, row, books)
    known = work.get(CAMPAIGNS, row.campaign_id)
    campaign = domain_payout.Campaign(PersonId(known.creator_id), known.platform_fee_bps) if known else None
    doubt = domain_payout.doubt(_wanted(row), campaign, _payout(work, row.campaign_id), books)
    if doubt:
        return _put_off(work, row, doubt)
    books = _recover(work, row, books, {one: totals.debt for one, totals in ledger_says.items()})
    until = work.now + timedelta(days=command.reserve_days)
    _start(work, row, books, Terms(command.reserve_bps, until))
    return {"started": True, "doubt": ""}


def _put_off(work: Work, row: PayoutRow, doubt: domain_payout.Doubt) -> Answer:
    """Nothing to send: after the main payout the campaign rests until something comes in or its reserve is free."""
    if row.sent and doubt == "nothing_left":
        work.put(PAYOUTS, _resting(row))
        return {"started": False, "doubt": ""}
    seconds = NOTHING_LEFT_SECONDS if doubt == "nothing_left" else DOUBT_SECONDS
    work.put(PAYOUTS, replace(row, doubt=doubt, due_at=work.now + timedelta(seconds=seconds)))
    return {"started": False, "doubt": doubt}


def _resting(row: PayoutRow) -> PayoutRow:
    if row.reserve_until is None:
        return replace(row, state=PayoutState.RESTING, doubt="")
    return replace(row, doubt="", due_at=row.reserve_until)


def _release(work: Work, row: PayoutRow, books: Totals) -> Totals:
    for event in domain_payout.release(_wanted(row), books):
        work.append(PAYOUT, row.campaign_id, event)
        ledger.book(work, event)
        books = replace(books, reserve=0)
    return books


def _recover(work: Work, row: PayoutRow, books: Totals, debts: dict[UUID, int]) -> Totals:
    for event in domain_payout.recover(_payout(work, row.campaign_id), _wanted(row), books, debts):
        work.append(PAYOUT, row.campaign_id, event)
        ledger.book(work, event)
        books = replace(books, recovered=books.recovered + event.amount.amount)
    return books


def _start(work: Work, row: PayoutRow, books: Totals, terms: Terms) -> None:
    """With nothing to transfer, since all of it was recovered or kept back, the payout is made at once."""
    work.put(PAYOUTS, replace(row, state=PayoutState.STARTED, doubt=""))
    for event in domain_payout.start(_payout(work, row.campaign_id), _wanted(row), books, terms):
        work.append(PAYOUT, row.campaign_id, event)
        if isinstance(event, PayoutStopped):
            _open_case(work, event)
        elif event.amount.amount:
            work.insert(OPERATIONS, _operation(work, event))
        else:
            _record_sent(work, event, domain_payout.sent(event, ""))


def _open_case(work: Work, stopped: PayoutStopped) -> None:
    """It stopped by itself, between two attempts: no operation says so."""
    text = f"the payout stopped by itself: {stopped.reason}"
    cases.open_case(work, CaseKind.STOPPED, str(stopped.campaign_id), text, campaign_id=stopped.campaign_id)


def _operation(work: Work, started: PayoutStarted) -> OperationRow:
    return OperationRow(
        operation_id=tables.operation_id_of(started.campaign_id, Kind.PAYOUT, started.attempt),
        subject_id=started.campaign_id,
        campaign_id=started.campaign_id,
        kind=Kind.PAYOUT,
        attempt=started.attempt,
        amount=started.amount.amount,
        currency=started.amount.currency,
        counterpart=str(started.creator_id),
        due_at=work.now,
        created_at=work.now,
        lane=lane_of(Kind.PAYOUT),
    )


def conclude_payout(work: Work, row: OperationRow, outcome: Decided, text: str, delay_seconds: float) -> bool:
    """Record what came of an attempt. `text` says it to people; whether the payout stopped for a person to look at."""
    before = _payout(work, row.subject_id)
    for fact in domain_payout.conclude(before, outcome):
        if isinstance(fact, PayoutSent) and before.running:
            _record_sent(work, before.running, fact)
        else:
            work.append(PAYOUT, row.subject_id, fact)
    after = _payout(work, row.subject_id)
    if after.sent == before.sent and not after.stopped:
        payout = work.get(PAYOUTS, row.subject_id)
        assert payout is not None, "an operation of a payout has its row"
        due = work.now + timedelta(seconds=max(delay_seconds, DOUBT_SECONDS))
        work.put(PAYOUTS, replace(payout, state=PayoutState.WAITING, doubt=text, due_at=due))
    return after.stopped


def resume(work: Work, campaign_id: UUID) -> bool:
    """A person lets a stopped payout go on; False if it has not stopped.

    The attempt that stopped is the same operation under the same key, looked for before it is sent again: a new one
    needs proof that it had no effect (DOMAIN Y2). With none under way the next one is worked out.
    """
    row, before = work.get(PAYOUTS, campaign_id), _payout(work, campaign_id)
    lifted = domain_payout.lift_stop(before, CampaignId(campaign_id))
    if row is None or not lifted:
        return False
    work.append(PAYOUT, campaign_id, *lifted)
    if before.running is None:
        work.put(PAYOUTS, replace(row, state=PayoutState.WAITING, due_at=work.now))
        return True
    operation = work.get(OPERATIONS, tables.operation_id_of(campaign_id, Kind.PAYOUT, before.running.attempt))
    assert operation is not None, "an attempt has its operation"
    sends = max(operation.sends, READ_BACK_FROM_SEND - 1)
    again = replace(operation, state=State.WAITING, outcome="resumed", sends=sends, due_at=work.now, decided_at=None)
    work.put(OPERATIONS, again)
    return True


def _record_sent(work: Work, started: PayoutStarted, fact: PayoutSent) -> None:
    """The fact and its posting; the campaign is looked at once more, for what came in since the attempt started."""
    work.append(PAYOUT, fact.campaign_id, fact)
    ledger.book(work, fact)
    row = work.get(PAYOUTS, fact.campaign_id)
    assert row is not None, "a payout has its row"
    again = replace(row, state=PayoutState.WAITING, doubt="", due_at=work.now + timedelta(seconds=DOUBT_SECONDS))
    work.put(PAYOUTS, replace(again, sent=fact.number, reserve_until=started.reserve_until or row.reserve_until))


def wake(work: Work, campaign_id: UUID) -> None:
    """Something came in that may be paid out: look now."""
    row = work.get(PAYOUTS, campaign_id)
    if row is not None and row.state is not PayoutState.STARTED:
        work.put(PAYOUTS, replace(row, state=PayoutState.WAITING, due_at=work.now))


def _payout(work: Work, campaign_id: UUID) -> Payout:
    return work.stream(PAYOUT, campaign_id).state or Payout()


def _wanted(row: PayoutRow) -> Wanted:
    return Wanted(
        campaign_id=CampaignId(row.campaign_id),
        creator_id=PersonId(row.creator_id),
        captured=row.captured,
        platform_fee_bps=row.platform_fee_bps,
        currency=row.currency,
    )


def needs_of_check(command: CheckPayout) -> Iterable[Need]:
    key = (command.campaign_id,)
    yield CAMPAIGNS, key
    yield CREATORS, (command.creator_id, command.currency)
    yield PAYOUTS, key
    yield PAYOUT, command.campaign_id
