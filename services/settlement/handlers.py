"""What runs inside the group's transaction: the own copy of the book, and the steps of a settlement.

The copy is kept by reactions and not by a projection, because decisions rest on it: its rows are the authority for
what has been asked for, and a rebuild does not touch them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import structlog

from contracts.campaign import CampaignCancelled, CampaignClosed, CampaignLaunched
from contracts.event import Event
from contracts.ids import CampaignId
from contracts.pledge import PledgeBookClosed
from contracts.settlement import CampaignSettled
from eventing.database import Connection
from eventing.definition import Answer, Definition, Handler, every_event
from eventing.follow import follow
from eventing.tables import Table
from eventing.work import Fold, Need, Recorded, Work
from settlement import domain, domain_book, domain_campaign
from settlement.domain import RequestDrops, RequestNext, SettlementStarted, StartSettlement
from settlement.domain_book import LIVE, SILENT, STATUS_AFTER, BookedPledge
from settlement.domain_campaign import Campaign

# Locked in this order: a campaign, then its pledges.
CAMPAIGNS: Final = Table("campaign", Campaign, ("campaign_id",))
PLEDGES: Final = Table("booked_pledge", BookedPledge, ("pledge_id",))


def _count(state: int | None, _event: Event) -> int:
    return (state or 0) + 1


STREAM: Final = Fold(_count)  # What was asked for stands in the rows; the streams say it to the world.

_BOOK_AT_CLOSING = f"""
    SELECT {", ".join(f"p.{column.name}" for column in PLEDGES.columns)}
    FROM booked_pledge p JOIN campaign c USING (campaign_id)
    WHERE p.campaign_id = $1 AND (p.status = ANY($2::text[]) OR p.left_at > c.manifest_at)
"""  # noqa: S608 - column names of our own

log = structlog.get_logger(__name__)


def _campaign(work: Work, campaign_id: UUID) -> Campaign:
    return work.get(CAMPAIGNS, campaign_id) or Campaign(CampaignId(campaign_id))


# -- facts of a campaign -----------------------------------------------------------------------------------------


def note_launch(work: Work, recorded: Recorded) -> None:
    fact: CampaignLaunched = recorded.event
    work.put(CAMPAIGNS, domain_campaign.launched(_campaign(work, fact.campaign_id), fact))


def note_closing(work: Work, recorded: Recorded) -> None:
    fact: CampaignClosed = recorded.event
    work.put(CAMPAIGNS, replace(_campaign(work, fact.campaign_id), closed_at=fact.closed_at))


def note_cancellation(work: Work, recorded: Recorded) -> None:
    fact: CampaignCancelled = recorded.event
    work.put(CAMPAIGNS, replace(_campaign(work, fact.campaign_id), cancelled_at=fact.cancelled_at))


def note_manifest(work: Work, recorded: Recorded) -> None:
    fact: PledgeBookClosed = recorded.event
    work.put(CAMPAIGNS, domain_campaign.book_closed(_campaign(work, fact.campaign_id), fact, recorded.time))


def _campaign_need(recorded: Recorded) -> Iterable[Need]:
    return ((CAMPAIGNS, (recorded.subject,)),)


# -- facts of a pledge -------------------------------------------------------------------------------------------


def _step(before: BookedPledge | None, recorded: Recorded) -> BookedPledge:
    return domain_book.follow(before, recorded.event, recorded.version, recorded.time)


def note_pledge(work: Work, recorded: Recorded) -> None:
    """Keep the own copy of the book; the last answer of a settlement ends it."""
    before, after = follow(work, PLEDGES, recorded, _step, domain_book.forget_facts)
    if after != before:
        campaign = domain_campaign.moved(_campaign(work, after.campaign_id), (before, after))
        _put_and_end(work, domain_campaign.answered(campaign, work.now))


def _pledge_needs(recorded: Recorded) -> Iterable[Need]:
    return ((CAMPAIGNS, (recorded.event.campaign_id,)), (PLEDGES, (recorded.subject,)))


# -- steps of a settlement ---------------------------------------------------------------------------------------


async def _book_at_closing(connection: Connection, command: StartSettlement) -> list[BookedPledge]:
    """What the own copy says was live when the book was closed; a pledge that left later counts (DOMAIN S1)."""
    records = await connection.fetch(_BOOK_AT_CLOSING, command.campaign_id, sorted(LIVE))
    return [PLEDGES.load(record) for record in records]


def start(work: Work, command: StartSettlement) -> Answer:
    """Begin, or note that the own copy is not the closed book, so that it is compared again only when it changes."""
    campaign = _campaign(work, command.campaign_id)
    if campaign.direction:
        return {"started": True}
    events = domain.decide_start(campaign, work.read, work.now)
    if not events:
        log.warning("book_differs", campaign=str(command.campaign_id), changes=campaign.book_changes)
        work.put(CAMPAIGNS, replace(campaign, checked_changes=campaign.book_changes))
        return {"started": False}
    work.start(STREAM, campaign.campaign_id, *events)
    _put_and_end(work, domain_campaign.started(campaign, events[0].direction, work.now))
    return {"started": True}


def request_next(work: Work, command: RequestNext) -> Answer:
    """Ask for the next captures or voids."""
    campaign = _campaign(work, command.campaign_id)
    rows = _rows(work, command.pledge_ids)
    requests = domain.decide_requests(campaign, list(rows.values()), command.outstanding_max)
    changes: list[tuple[BookedPledge | None, BookedPledge]] = []
    for request in requests:
        before = rows[request.pledge_id]
        work.start(STREAM, request.pledge_id, request)
        changes.append((before, replace(before, requested=True)))
    _put_changes(work, campaign, changes)
    return {"requested": len(requests)}


def request_drops(work: Work, command: RequestDrops) -> Answer:
    """Give up what nobody mended in time."""
    campaign = _campaign(work, command.campaign_id)
    rows = _rows(work, command.pledge_ids)
    requests = domain.decide_drops(campaign, list(rows.values()), work.now)
    changes: list[tuple[BookedPledge | None, BookedPledge]] = []
    for request in requests:
        before = rows[request.pledge_id]
        work.append(STREAM, request.pledge_id, request)
        changes.append((before, replace(before, drop_requested=True)))
    _put_changes(work, campaign, changes)
    return {"requested": len(requests)}


def _rows(work: Work, pledge_ids: Sequence[UUID]) -> dict[UUID, BookedPledge]:
    found = {pledge_id: work.get(PLEDGES, pledge_id) for pledge_id in pledge_ids}
    return {pledge_id: row for pledge_id, row in found.items() if row is not None}


def _put_changes(work: Work, campaign: Campaign, changes: Sequence[tuple[BookedPledge | None, BookedPledge]]) -> None:
    for _, after in changes:
        work.put(PLEDGES, after)
    if changes:
        work.put(CAMPAIGNS, domain_campaign.moved(campaign, *changes))


def _put_and_end(work: Work, campaign: Campaign) -> None:
    """Write the campaign's row, settled if nothing is left; outcome and payout are said in the same transaction."""
    for event in domain.decide_end(campaign):
        work.append(STREAM, campaign.campaign_id, event)
        if isinstance(event, CampaignSettled):
            campaign = replace(campaign, outcome=event.outcome, settled_at=work.now)
    work.put(CAMPAIGNS, campaign)


def _request_needs(command: RequestNext) -> Iterable[Need]:
    return [(CAMPAIGNS, (command.campaign_id,)), *((PLEDGES, (one,)) for one in command.pledge_ids)]


def _drop_needs(command: RequestDrops) -> Iterable[Need]:
    rows: list[Need] = [(PLEDGES, (one,)) for one in command.pledge_ids]
    return [(CAMPAIGNS, (command.campaign_id,)), *rows, *((STREAM, one) for one in command.pledge_ids)]


def _start_needs(command: StartSettlement) -> Iterable[Need]:
    return ((CAMPAIGNS, (command.campaign_id,)),)


_PLEDGE_HANDLER: Final = Handler(note_pledge, _pledge_needs)
_REACTIONS: Final[dict[type[Any], Handler]] = {
    CampaignLaunched: Handler(note_launch, _campaign_need),
    CampaignClosed: Handler(note_closing, _campaign_need),
    CampaignCancelled: Handler(note_cancellation, _campaign_need),
    PledgeBookClosed: Handler(note_manifest, _campaign_need),
    **dict.fromkeys((*STATUS_AFTER, *SILENT), _PLEDGE_HANDLER),
}

DEFINITION: Final = Definition(
    source="settlement",
    commands={
        StartSettlement: Handler(start, _start_needs, _book_at_closing),
        RequestNext: Handler(request_next, _request_needs),
        RequestDrops: Handler(request_drops, _drop_needs),
    },
    reactions=_REACTIONS,
    tables=(CAMPAIGNS, PLEDGES),
    private_events=(SettlementStarted,),
    patient=every_event,
    gather_seconds=0.2,
)
