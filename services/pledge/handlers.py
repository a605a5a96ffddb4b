"""What runs inside the group's transaction: lock, load, decide, append, count. Nothing here judges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from contracts import manifest
from contracts.campaign import CampaignCancelled, CampaignLaunched, RewardTier, RewardTierAdded, TierLimitRaised
from contracts.event import Event
from contracts.ids import CampaignId, PersonId
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFact,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.pledge import PledgeFact
from contracts.settlement import CampaignSettled, DropRequested
from eventing.database import Connection
from eventing.definition import Answer, Definition, Handler
from eventing.work import Need, Recorded, Work
from pledge import domain_book, domain_change, domain_decisions, domain_hold, domain_payment, handlers_waitlist
from pledge import handlers_slots as slots
from pledge.domain import BOOKED, Pledge, counted
from pledge.domain_book import Book
from pledge.domain_change import ChangePledge
from pledge.domain_decisions import CancelPledge, PlacePledge
from pledge.domain_waitlist import SlotOfferEnded
from pledge.projections import PLEDGES_PROJECTION
from pledge.tables import BOOK_STREAM, BOOKS, LIVE_PLEDGES, PLEDGE, PLEDGES, POOLS, TIERS, WAITLIST, LivePledge

CAMPAIGN_SOURCE: Final = "campaign"
PAYMENT_SOURCE: Final = "payment"


@dataclass(frozen=True, slots=True)
class ExpireLease:
    """The timer's: the pledge's decision lease seems to have run out (DOMAIN P2)."""

    pledge_id: UUID
    campaign_id: UUID
    backer_id: UUID


@dataclass(frozen=True, slots=True)
class CancelWithCampaign:
    """The timer's: the pledge's campaign was cancelled (DOMAIN C10)."""

    pledge_id: UUID
    campaign_id: UUID
    backer_id: UUID


@dataclass(frozen=True, slots=True)
class CloseBook:
    """The timer's: the book's deadline seems to have passed (DOMAIN P9)."""

    campaign_id: UUID


@dataclass(frozen=True, slots=True)
class AnnounceBook:
    """The timer's: the last pledge of a closed book seems to be decided (DOMAIN P9)."""

    campaign_id: UUID


# -- pledges ---------------------------------------------------------------------------------------------------


def _place(work: Work, command: PlacePledge) -> Answer:
    book = work.get(BOOKS, command.campaign_id)
    tier = work.get(TIERS, command.tier_id) if command.tier_id else None
    pool = work.get(POOLS, tier.pool_id) if tier and tier.pool_id else None
    first = work.get(LIVE_PLEDGES, command.campaign_id, command.backer_id)
    first_id = first.pledge_id if first else None
    entry = slots.entry_of(work, pool, command.backer_id)
    events = domain_decisions.place(command, work.now, book=book, tier=tier, pool=pool, first=first_id, entry=entry)
    assert book is not None
    work.start(PLEDGE, command.pledge_id, *events)
    pledge = work.stream(PLEDGE, command.pledge_id).state
    assert pledge is not None
    work.put(BOOKS, counted(book, None, pledge))
    if pool is not None:
        slots.claim(work, pool, command.backer_id)
    pool_id = pool.pool_id if pool else None
    work.put(LIVE_PLEDGES, LivePledge(command.campaign_id, command.backer_id, command.pledge_id, pool_id))
    return _answer(pledge)


def _place_needs(command: PlacePledge) -> Iterator[Need]:
    yield BOOKS, (command.campaign_id,)
    yield LIVE_PLEDGES, (command.campaign_id, command.backer_id)
    yield PLEDGES, (command.pledge_id,)
    if command.tier_id is not None:
        yield TIERS, (command.tier_id,)
    if command.pool_hint is not None:
        yield POOLS, (command.pool_hint,)


def _change(work: Work, command: ChangePledge) -> Answer:
    pledge = domain_decisions.owned(work.stream(PLEDGE, command.pledge_id).state, command.person_id)
    domain_change.check_seen(work.stream(PLEDGE, command.pledge_id).version, command)
    book = _book_of(work, pledge)
    to = domain_change.wanted(command, pledge, work.now)
    tier = work.get(TIERS, to.tier_id) if to.tier_id else None
    pool = slots.needed(work, pledge, tier)
    entry = slots.entry_of(work, pool, pledge.backer_id)
    events = domain_change.change(pledge, to, work.now, book=book, tier=tier, pool=pool, entry=entry)
    after = _record(work, pledge, events)
    undecided = after.change is not None
    return {**_answer(after), "version": work.stream(PLEDGE, command.pledge_id).version, "undecided": undecided}


def _cancel(work: Work, command: CancelPledge) -> Answer:
    pledge = domain_decisions.owned(work.stream(PLEDGE, command.pledge_id).state, command.person_id)
    book = _book_of(work, pledge)
    return _answer(_record(work, pledge, domain_decisions.cancel(pledge, book, work.now)))


def _expire(work: Work, command: ExpireLease) -> Answer:
    if (pledge := work.stream(PLEDGE, command.pledge_id).state) is not None:
        _record(work, pledge, domain_decisions.expire(pledge, work.now))
    return {}


def _cancel_with_campaign(work: Work, command: CancelWithCampaign) -> Answer:
    if (pledge := work.stream(PLEDGE, command.pledge_id).state) is not None:
        _record(work, pledge, domain_decisions.cancel_with_campaign(pledge, work.now))
    return {}


def _follow_payment(work: Work, recorded: Recorded) -> None:
    if (pledge := work.stream(PLEDGE, recorded.subject).state) is not None:
        _record(work, pledge, domain_payment.follow_payment(pledge, recorded.event))


def _follow_hold(work: Work, recorded: Recorded) -> None:
    heard = _heard(work, recorded)
    if (pledge := work.stream(PLEDGE, recorded.subject).state) is not None:
        _record(work, pledge, domain_hold.follow_hold(pledge, heard))


def _follow_disputes(work: Work, recorded: Recorded) -> None:
    heard = _heard(work, recorded)
    if (pledge := work.stream(PLEDGE, recorded.subject).state) is not None:
        creator_id = PersonId(_book_of(work, pledge).creator_id)
        _record(work, pledge, domain_payment.follow_disputes(pledge, heard, creator_id))


def _heard(work: Work, recorded: Recorded) -> list[PaymentFact]:
    """All of payment's facts about the pledge that have come in, in the order of payment's stream."""
    return [one.event for one in work.history(PAYMENT_SOURCE, recorded.subject)]


def _drop(work: Work, recorded: Recorded) -> None:
    if (pledge := work.stream(PLEDGE, recorded.subject).state) is not None:
        _record(work, pledge, domain_decisions.drop(pledge))


def _record(work: Work, before: Pledge, events: Sequence[PledgeFact]) -> Pledge:
    """Append, count each event in the book, and claim and free the slots that it moves."""
    for event in events:
        book = _book_of(work, before)
        work.append(PLEDGE, before.pledge_id, event)
        after = work.stream(PLEDGE, before.pledge_id).state
        assert after is not None
        work.put(BOOKS, counted(book, before, after))
        slots.follow(work, before, event, after)
        before = after
    return before


def _book_of(work: Work, pledge: Pledge) -> Book:
    book = work.get(BOOKS, pledge.campaign_id)
    assert book is not None, "a pledge was placed in it"
    return book


def _answer(pledge: Pledge) -> Answer:
    """What a backer is told of a pledge; stored for its Idempotency-Key (DOMAIN P10)."""
    return {
        "id": str(pledge.pledge_id),
        "status": pledge.status.value,
        "amount": {"amount": pledge.amount.amount, "currency": pledge.amount.currency},
        "tier_id": str(pledge.tier_id) if pledge.tier_id else None,
        "campaign_id": str(pledge.campaign_id),
        "placed_at": pledge.placed_at.isoformat().replace("+00:00", "Z"),
        "links": {"self": f"/pledges/{pledge.pledge_id}", "campaign": f"/campaigns/{pledge.campaign_id}"},
    }


def _pledge_needs(pledge_id: UUID) -> tuple[Need, ...]:
    return (PLEDGE, pledge_id), (PLEDGES, (pledge_id,))


def _ending_needs(command: ExpireLease | CancelWithCampaign) -> tuple[Need, ...]:
    live = LIVE_PLEDGES, (command.campaign_id, command.backer_id)
    return (BOOKS, (command.campaign_id,)), live, *_pledge_needs(command.pledge_id)


def _fact_needs(recorded: Recorded) -> tuple[Need, ...]:
    return (BOOKS, (recorded.event.campaign_id,)), *_pledge_needs(recorded.subject)


def _heard_needs(recorded: Recorded) -> tuple[Need, ...]:
    return *_fact_needs(recorded), (PAYMENT_SOURCE, recorded.subject)


# -- campaigns -------------------------------------------------------------------------------------------------


def _launch(work: Work, recorded: Recorded) -> None:
    """Open the book, unless the cancellation came before the launch did."""
    launched: CampaignLaunched = recorded.event
    if work.get(BOOKS, launched.campaign_id) is not None:
        return
    book = domain_book.book_of(launched)
    history = work.history(CAMPAIGN_SOURCE, launched.campaign_id)
    if any(isinstance(one.event, CampaignCancelled) for one in history):
        book = domain_book.cancel_all(book)
    work.put(BOOKS, book)
    for tier in launched.tiers:
        _put_tier(work, launched.campaign_id, tier)


def _add_tier(work: Work, recorded: Recorded) -> None:
    _put_tier(work, recorded.event.campaign_id, recorded.event.tier)


def _put_tier(work: Work, campaign_id: CampaignId, tier: RewardTier) -> None:
    if work.get(TIERS, tier.tier_id) is None:
        work.put(TIERS, domain_book.tier_of(campaign_id, tier))
    if tier.pool_id is not None:
        _widen(work, tier.pool_id, campaign_id, tier.limit or 0)


def _raise_limit(work: Work, recorded: Recorded) -> None:
    """TierLimitRaised may come before the tier itself: the pool waits for it."""
    raised: TierLimitRaised = recorded.event
    _widen(work, raised.pool_id, raised.campaign_id, raised.limit)


def _widen(work: Work, pool_id: UUID, campaign_id: UUID, slots: int) -> None:
    work.put(POOLS, domain_book.widen(work.get(POOLS, pool_id), pool_id, campaign_id, slots))


def _cancel_campaign(work: Work, recorded: Recorded) -> None:
    """Nothing new comes in from now on; the timer cancels what is in, batch by batch."""
    if (book := work.get(BOOKS, recorded.subject)) is not None:
        work.put(BOOKS, domain_book.cancel_all(book))


def _settle(work: Work, recorded: Recorded) -> None:
    """What a creator may do with the list of backers depends on how it ended (DOMAIN P11)."""
    settled: CampaignSettled = recorded.event
    if (book := work.get(BOOKS, recorded.subject)) is not None:
        work.put(BOOKS, replace(book, outcome=settled.outcome))


def _book_needs(recorded: Recorded) -> tuple[Need, ...]:
    return ((BOOKS, (recorded.subject,)),)


def _launch_needs(recorded: Recorded) -> Iterator[Need]:
    yield BOOKS, (recorded.subject,)
    yield CAMPAIGN_SOURCE, recorded.subject
    for tier in recorded.event.tiers:
        yield from _tier_needs(tier)


def _tier_needs(tier: RewardTier) -> Iterator[Need]:
    yield TIERS, (tier.tier_id,)
    if tier.pool_id is not None:
        yield POOLS, (tier.pool_id,)


# -- closing ---------------------------------------------------------------------------------------------------

_BOOKED = """
    SELECT pledge_id, amount_minor, currency, tier_id
    FROM pledge_view
    WHERE campaign_id = $1
      AND status = ANY($2)
"""


def _close(work: Work, command: CloseBook) -> Answer:
    if (book := work.get(BOOKS, command.campaign_id)) is not None:
        work.put(BOOKS, domain_book.close(book, work.now))
    return {}


async def _read_booked(connection: Connection, command: AnnounceBook) -> list[tuple[UUID, int, str, UUID | None]]:
    rows = await connection.fetch(_BOOKED, command.campaign_id, [status.value for status in BOOKED])
    return [tuple(row) for row in rows]


def _announce(work: Work, command: AnnounceBook) -> Answer:
    book = work.get(BOOKS, command.campaign_id)
    if book is None or not (events := domain_book.announce(book, manifest.digest(work.read))):
        return {}
    listed = len(work.read), sum(minor for _, minor, _, _ in work.read)
    assert listed == (book.live, book.live_minor), "the manifest lists what the book has counted"
    work.append(BOOK_STREAM, command.campaign_id, *events)
    work.put(BOOKS, replace(book, state=domain_book.BookState.ANNOUNCED))
    return {}


def _announce_needs(command: AnnounceBook) -> tuple[Need, ...]:
    return (BOOKS, (command.campaign_id,)), (BOOK_STREAM, command.campaign_id)


_PAYMENT_FACTS = (
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentVoided,
    PaymentRefunded,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
)
COMMANDS: dict[type[Any], Handler] = {
    PlacePledge: Handler(_place, _place_needs),
    ChangePledge: Handler(_change, lambda command: _pledge_needs(command.pledge_id)),
    CancelPledge: Handler(_cancel, lambda command: _pledge_needs(command.pledge_id)),
    ExpireLease: Handler(_expire, _ending_needs),
    CancelWithCampaign: Handler(_cancel_with_campaign, _ending_needs),
    CloseBook: Handler(_close, lambda command: ((BOOKS, (command.campaign_id,)),)),
    AnnounceBook: Handler(_announce, _announce_needs, _read_booked),
    **handlers_waitlist.COMMANDS,
}
REACTIONS: dict[type[Event], Handler] = {
    CampaignLaunched: Handler(_launch, _launch_needs),
    RewardTierAdded: Handler(_add_tier, lambda recorded: _tier_needs(recorded.event.tier)),
    TierLimitRaised: Handler(_raise_limit, lambda recorded: ((POOLS, (recorded.event.pool_id,)),)),
    CampaignCancelled: Handler(_cancel_campaign, _book_needs),
    CampaignSettled: Handler(_settle, _book_needs),
    **dict.fromkeys(_PAYMENT_FACTS, Handler(_follow_payment, _fact_needs)),
    **dict.fromkeys((PaymentHoldRenewed, PaymentAtRisk), Handler(_follow_hold, _heard_needs)),
    **dict.fromkeys((PaymentDisputeOpened, PaymentDisputeClosed), Handler(_follow_disputes, _heard_needs)),
    DropRequested: Handler(_drop, _fact_needs),
}
DEFINITION = Definition(
    source="pledge",
    commands=COMMANDS,
    reactions=REACTIONS,
    projections=(PLEDGES_PROJECTION,),
    tables=(BOOKS, TIERS, POOLS, LIVE_PLEDGES, WAITLIST),
    private_events=(SlotOfferEnded,),
)
