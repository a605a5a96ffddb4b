"""What runs inside the group's transaction about a campaign's payout (DOMAIN Y10)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from contracts.ids import CampaignId, PersonId
from contracts.settlement import PayoutRequested
from eventing.definition import Answer
from eventing.work import Fold, Need, Recorded, Work
from payment import domain_payout, ledger, tables
from payment.domain_events import Kind
from payment.domain_payout import Books, Payout
from payment.gateway import Decided, describe
from payment.tables import CAMPAIGNS, OPERATIONS, PAYOUTS, OperationRow, PayoutRow, PayoutState

PAYOUT = Fold(domain_payout.evolve)
PAYOUT_DOUBT_SECONDS = 5  # A payout in doubt waits for facts that are on their way.


@dataclass(frozen=True)
class CheckPayout:
    campaign_id: UUID


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
    """Start a campaign's payout if the ledger agrees with what settlement asked for; else wait and say why."""
    row = work.get(PAYOUTS, command.campaign_id)
    if row is None or row.state is not PayoutState.WAITING:
        return {"started": False, "doubt": ""}
    known = work.get(CAMPAIGNS, command.campaign_id)
    campaign = domain_payout.Campaign(PersonId(known.creator_id), known.platform_fee_bps) if known else None
    wanted = domain_payout.Wanted(
        campaign_id=CampaignId(row.campaign_id),
        creator_id=PersonId(row.creator_id),
        captured=row.captured,
        platform_fee_bps=row.platform_fee_bps,
        currency=row.currency,
    )
    books: Books = work.read.get(row.currency, Books(0, 0))
    doubt = domain_payout.doubt(wanted, campaign, books)
    if doubt:
        due = work.now + timedelta(seconds=PAYOUT_DOUBT_SECONDS)
        work.put(PAYOUTS, replace(row, doubt=doubt, due_at=due))
        return {"started": False, "doubt": doubt}
    work.put(PAYOUTS, replace(row, state=PayoutState.STARTED, doubt=""))
    _start_payout(work, wanted, books)
    return {"started": True, "doubt": ""}


def _start_payout(work: Work, wanted: domain_payout.Wanted, books: Books) -> None:
    payout = work.stream(PAYOUT, wanted.campaign_id).state or Payout()
    for event in domain_payout.start(payout, wanted, books):
        work.append(PAYOUT, wanted.campaign_id, event)
        if isinstance(event, domain_payout.PayoutStarted):
            row = OperationRow(
                operation_id=tables.operation_id_of(wanted.campaign_id, Kind.PAYOUT, event.attempt),
                subject_id=wanted.campaign_id,
                campaign_id=wanted.campaign_id,
                kind=Kind.PAYOUT,
                attempt=event.attempt,
                amount=event.amount.amount,
                currency=event.amount.currency,
                counterpart=str(wanted.creator_id),
                due_at=work.now,
                created_at=work.now,
            )
            work.insert(OPERATIONS, row)


def conclude_payout(work: Work, row: OperationRow, outcome: Decided, delay_seconds: float) -> bool:
    before = work.stream(PAYOUT, row.subject_id).state or Payout()
    facts = domain_payout.conclude(before, outcome)
    work.append(PAYOUT, row.subject_id, *facts)
    for fact in facts:
        ledger.book(work, row.operation_id, fact, held=0)
    after = work.stream(PAYOUT, row.subject_id).state or Payout()
    if not (after.sent or after.stopped):
        payout = work.get(PAYOUTS, row.subject_id)
        assert payout is not None, "an operation of a payout has its row"
        due = work.now + timedelta(seconds=max(delay_seconds, PAYOUT_DOUBT_SECONDS))
        again = replace(payout, state=PayoutState.WAITING, doubt=describe(outcome), due_at=due)
        work.put(PAYOUTS, again)
    return after.stopped


def payout_needs(command: CheckPayout) -> Iterable[Need]:
    key = (command.campaign_id,)
    return (PAYOUTS, key), (CAMPAIGNS, key), (PAYOUT, command.campaign_id)
