"""What runs inside the group's transaction: lock, load, decide, append, count."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from campaign import domain_decisions as decisions
from campaign.domain import PRIVATE_EVENTS, Campaign, cross
from campaign.domain_commands import (
    AddTier,
    CancelCampaign,
    ChangeDraft,
    CloseCampaign,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
    RaiseLimit,
    RemoveTier,
)
from campaign.projections import PAGES_PROJECTION
from campaign.tables import CAMPAIGN, CONTRIBUTIONS, PAGES, TIER_CLAIMS, TOTALS, Contribution, TierClaim, Total
from contracts.event import Event
from contracts.pledge import (
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDropped,
    PledgeFact,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from contracts.settlement import CampaignSettled
from eventing.definition import Answer, Definition, Handler
from eventing.work import Need, Recorded, Work

C = TypeVar("C")

# By the newest fact about a pledge: does it count in the total (C7), does it hold a slot of its tier (P2, P5).
_COUNTS: dict[type[PledgeFact], tuple[bool, bool]] = {
    PledgePlaced: (False, True),
    PledgeAuthorized: (True, True),
    PledgeChanged: (True, True),
    PledgeCaptured: (True, True),
    PledgeCaptureFailed: (False, True),
    PledgeDeclined: (False, False),
    PledgeCancelled: (False, False),
    PledgeVoided: (False, False),
    PledgeDropped: (False, False),
    PledgeRefunded: (False, False),
}


def _deciding(decide: Callable[[Campaign, C, datetime], tuple[Event, ...]]) -> Handler:
    """A handler for a command of a campaign's creator."""

    def handle(work: Work, command: Any) -> Answer:
        state = decisions.owned(work.stream(CAMPAIGN, command.campaign_id).state, command.person_id)
        return _record(work, command.campaign_id, decide(state, command, work.now))

    return Handler(handle, lambda command: _campaign_needs(command.campaign_id))


def _draft(work: Work, command: DraftCampaign) -> Answer:
    return _record(work, command.campaign_id, decisions.draft(command, work.now))


def _add_tier(work: Work, command: AddTier) -> Answer:
    state = decisions.owned(work.stream(CAMPAIGN, command.campaign_id).state, command.person_id)
    answer = _record(work, command.campaign_id, decisions.add_tier(state, command, work.now))
    return {**answer, "tier_id": str(command.tier_id)}


def _close(work: Work, command: CloseCampaign) -> Answer:
    state = work.stream(CAMPAIGN, command.campaign_id).state
    if state is None:
        return {}
    return _record(work, command.campaign_id, decisions.close(state, work.now))


def _end(work: Work, recorded: Recorded) -> None:
    """CampaignSettled. A campaign that is not known here is not ours to end."""
    state = work.stream(CAMPAIGN, recorded.subject).state
    if state is not None:
        _record(work, recorded.subject, decisions.end(state, recorded.event.outcome))


def _contribute(work: Work, recorded: Recorded) -> None:
    """Count a pledge by its newest fact, and decide with the total locked which milestones that crosses (C6).

    Every fact about a pledge carries all of it, so an older one that comes late has nothing to add: the result is
    the same in any order and under any repetition. Pledges of a campaign that is not known are counted too.
    """
    before = work.get(CONTRIBUTIONS, recorded.subject)
    if before is not None and recorded.version <= before.version:
        return
    after = _contribution(recorded)
    work.put(CONTRIBUTIONS, after)
    _move_slots(work, before, after)
    total = _moved(work.get(TOTALS, after.campaign_id) or Total(after.campaign_id), before, after)
    work.put(TOTALS, total)
    if total.next_threshold_minor is not None and total.pledged_minor >= total.next_threshold_minor:
        state = work.stream(CAMPAIGN, after.campaign_id).state
        assert state is not None  # its launch has set the threshold
        _record(work, after.campaign_id, cross(state, total.pledged_minor, total.backers))


def _moved(total: Total, before: Contribution | None, after: Contribution) -> Total:
    counted_before = before.counted_minor if before else 0
    return Total(
        campaign_id=total.campaign_id,
        version=total.version + 1,
        pledged_minor=total.pledged_minor + after.counted_minor - counted_before,
        backers=total.backers + (after.counted_minor > 0) - (counted_before > 0),
        next_threshold_minor=total.next_threshold_minor,
    )


def _contribution(recorded: Recorded) -> Contribution:
    fact: PledgeFact = recorded.event
    counts, holds_slot = _COUNTS[type(fact)]
    return Contribution(
        pledge_id=fact.pledge_id,
        campaign_id=fact.campaign_id,
        tier_id=fact.tier_id,
        counted_minor=fact.amount.amount if counts else 0,
        slots=int(holds_slot and fact.tier_id is not None),
        version=recorded.version,
    )


def _move_slots(work: Work, before: Contribution | None, after: Contribution) -> None:
    if before is not None and (before.tier_id, before.slots) == (after.tier_id, after.slots):
        return
    if before is not None:
        _add_slots(work, before, -before.slots)
    _add_slots(work, after, after.slots)


def _add_slots(work: Work, contribution: Contribution, slots: int) -> None:
    if contribution.tier_id is not None and slots:
        key = contribution.campaign_id, contribution.tier_id
        claim = work.get(TIER_CLAIMS, *key)
        work.put(TIER_CLAIMS, TierClaim(*key, slots + (claim.slots if claim else 0)))


def _record(work: Work, campaign_id: UUID, events: tuple[Event, ...]) -> Answer:
    """Append, and tell the total's row what the page's version and the next threshold are now."""
    if events:
        work.append(CAMPAIGN, campaign_id, *events)
    state = work.stream(CAMPAIGN, campaign_id).state
    assert state is not None  # whoever decided has seen it, or has just begun it
    if events:
        total = work.get(TOTALS, campaign_id) or Total(campaign_id)
        threshold = state.next_threshold_minor
        work.put(TOTALS, replace(total, version=total.version + 1, next_threshold_minor=threshold))
    return {"id": str(campaign_id), "status": state.status.value, "links": {"self": f"/campaigns/{campaign_id}"}}


def _campaign_needs(campaign_id: UUID) -> tuple[Need, ...]:
    return (TOTALS, (campaign_id,)), (CAMPAIGN, campaign_id), (PAGES, (campaign_id,))


def _pledge_needs(recorded: Recorded) -> Iterator[Need]:
    fact: PledgeFact = recorded.event
    yield CONTRIBUTIONS, (fact.pledge_id,)
    yield TOTALS, (fact.campaign_id,)
    if fact.tier_id is not None:
        yield TIER_CLAIMS, (fact.campaign_id, fact.tier_id)


COMMANDS: dict[type[Any], Handler] = {
    DraftCampaign: Handler(_draft, lambda command: _campaign_needs(command.campaign_id)),
    ChangeDraft: _deciding(decisions.change),
    DiscardDraft: _deciding(decisions.discard),
    AddTier: Handler(_add_tier, lambda command: _campaign_needs(command.campaign_id)),
    RemoveTier: _deciding(decisions.remove_tier),
    RaiseLimit: _deciding(decisions.raise_limit),
    LaunchCampaign: _deciding(decisions.launch),
    CancelCampaign: _deciding(decisions.cancel),
    CloseCampaign: Handler(_close, lambda command: _campaign_needs(command.campaign_id)),
}
REACTIONS: dict[type[Event], Handler] = {
    **dict.fromkeys(_COUNTS, Handler(_contribute, _pledge_needs)),
    CampaignSettled: Handler(_end, lambda recorded: _campaign_needs(recorded.subject)),
}
DEFINITION = Definition(
    source="campaign",
    commands=COMMANDS,
    reactions=REACTIONS,
    projections=(PAGES_PROJECTION,),
    tables=(CONTRIBUTIONS, TOTALS, TIER_CLAIMS),
    private_events=PRIVATE_EVENTS,
)
