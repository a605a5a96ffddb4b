"""What runs inside the group's transaction: lock, load, decide, append, count."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from campaign import domain_decisions as decisions
from campaign import domain_tiers as tiers
from campaign import domain_total
from campaign.domain import PRIVATE_EVENTS, Campaign, Status, cross, percent_of
from campaign.domain_commands import (
    AddTier,
    CancelCampaign,
    ChangeDraft,
    ChangeTier,
    CloseCampaign,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
    PostUpdate,
    RemoveTier,
)
from campaign.domain_total import OTHERS, STANDING_AFTER, Contribution
from campaign.domain_updates import post_update
from campaign.pages import address, links_of
from campaign.projections import PAGES_PROJECTION, UPDATES_PROJECTION
from campaign.tables import (
    CAMPAIGN,
    CONTRIBUTIONS,
    PAGES,
    TIER_CLAIMS,
    TOTALS,
    UPDATE,
    UPDATES,
    TierClaim,
    Total,
)
from contracts.event import Event
from contracts.pledge import PledgeFact
from contracts.settlement import CampaignSettled
from eventing.definition import Answer, Definition, Handler
from eventing.follow import follow
from eventing.work import Need, Recorded, Work

C = TypeVar("C")

# What a campaign's total adds up of its pledges, beside what counts in it.
_SUMS: Final = ("at_risk", "at_risk_minor", "disputes", "disputed_minor", "disputes_lost", "lost_minor")


def _deciding(decide: Callable[[Campaign, C, datetime], tuple[Event, ...]]) -> Handler:
    """A handler for a command of a campaign's creator."""

    def handle(work: Work, command: Any) -> Answer:
        state = decisions.owned(work.stream(CAMPAIGN, command.campaign_id).state, command.person_id)
        return _record(work, command.campaign_id, decide(state, command, work.now))

    return Handler(handle, lambda command: _campaign_needs(command.campaign_id))


def _draft(work: Work, command: DraftCampaign) -> Answer:
    return _record(work, command.campaign_id, decisions.draft(command, work.now))


def _deciding_tier(decide: Callable[[Campaign, C, datetime], tuple[Event, ...]]) -> Handler:
    """The same for a command about one of its tiers: the answer names the tier as it is now."""
    deciding = _deciding(decide)

    def handle(work: Work, command: Any) -> Answer:
        answer: dict[str, Any] = deciding.handle(work, command)
        tier = _state(work, command.campaign_id).tier(command.tier_id)
        assert tier is not None  # just added or changed
        shown = tier.model_dump(mode="json", include={"title", "minimum", "limit"})
        about = {"tier_id": str(tier.tier_id), "tier": shown, "tier_etag": f'"{tiers.tier_tag(tier)}"'}
        path = address(command.campaign_id)
        return answer | about | {"links": {"self": f"{path}/tiers/{tier.tier_id}", "campaign": path}}

    return Handler(handle, deciding.needs)


def _post_update(work: Work, command: PostUpdate) -> Answer:
    state = decisions.owned(work.stream(CAMPAIGN, command.campaign_id).state, command.person_id)
    total = work.get(TOTALS, command.campaign_id)
    assert total is not None  # whoever began the campaign has made it
    posted = post_update(state, command, total.updates, work.now)
    work.start(UPDATE, command.update_id, posted)
    work.put(TOTALS, replace(total, version=total.version + 1, updates=posted.number))
    path = address(state.campaign_id)
    shown = posted.model_dump(mode="json", include={"number", "kind", "title", "tier_id", "posted_at"})
    return {
        "id": str(posted.update_id),
        **shown,
        "links": {"self": f"{path}/updates/{posted.number}", "campaign": path},
    }


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
    """Count a pledge, and decide with the total locked which milestones that crosses (C6).

    The result is the same in any order and under any repetition. Pledges of a campaign that is not known count too.
    """
    before, after = follow(work, CONTRIBUTIONS, recorded, _step)
    if after == before:
        return
    _move_slots(work, before, after)
    total = _moved(work.get(TOTALS, after.campaign_id) or Total(after.campaign_id), before, after)
    work.put(TOTALS, total)
    if total.next_threshold_minor is not None and total.pledged_minor >= total.next_threshold_minor:
        state = work.stream(CAMPAIGN, after.campaign_id).state
        assert state is not None  # its launch has set the threshold
        _record(work, after.campaign_id, cross(state, total.pledged_minor, total.backers))


def _step(before: Contribution | None, recorded: Recorded) -> Contribution:
    return domain_total.follow(before, recorded.event, recorded.version)


def _moved(total: Total, before: Contribution | None, after: Contribution) -> Total:
    counted_before = before.counted_minor if before else 0
    pledged_minor = total.pledged_minor + after.counted_minor - counted_before
    sums = {name: getattr(after, name) - (getattr(before, name) if before else 0) for name in _SUMS}
    return replace(
        total,
        version=total.version + 1,
        pledged_minor=pledged_minor,
        backers=total.backers + (after.counted_minor > 0) - (counted_before > 0),
        percent=percent_of(pledged_minor, total.goal_minor or 0),
        **{name: getattr(total, name) + moved for name, moved in sums.items()},
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


def _record(work: Work, campaign_id: UUID, events: tuple[Event, ...]) -> dict[str, Any]:
    """Append, and tell the total's row what the page's version and the next threshold are now."""
    if events:
        work.append(CAMPAIGN, campaign_id, *events)
    state = _state(work, campaign_id)
    if events:
        total = work.get(TOTALS, campaign_id) or Total(campaign_id)
        work.put(TOTALS, _following(total, state))
    terms = state.terms.model_dump(mode="json", include={"title", "goal", "model", "deadline"})
    answer = {"id": str(campaign_id), "status": state.status.value, **terms, "links": links_of(state)}
    return answer | {"etag": f'"{decisions.draft_tag(state)}"'} if state.status is Status.DRAFT else answer


def _following(total: Total, state: Campaign) -> Total:
    """The total's row after an event of the campaign's own."""
    launched = state.launched_at is not None
    goal_minor = state.terms.goal.amount if launched else None
    return replace(
        total,
        version=total.version + 1,
        next_threshold_minor=state.next_threshold_minor,
        goal_minor=goal_minor,
        percent=percent_of(total.pledged_minor, goal_minor or 0),
        listed=state.status if launched else None,
    )


def _state(work: Work, campaign_id: UUID) -> Campaign:
    """Of a campaign that whoever asks has decided about, or just begun."""
    state = work.stream(CAMPAIGN, campaign_id).state
    assert state is not None
    return state


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
    AddTier: _deciding_tier(tiers.add_tier),
    ChangeTier: _deciding_tier(tiers.change_tier),
    RemoveTier: _deciding(tiers.remove_tier),
    PostUpdate: Handler(
        _post_update, lambda command: (*_campaign_needs(command.campaign_id), (UPDATES, (command.update_id,)))
    ),
    LaunchCampaign: _deciding(decisions.launch),
    CancelCampaign: _deciding(decisions.cancel),
    CloseCampaign: Handler(_close, lambda command: _campaign_needs(command.campaign_id)),
}
REACTIONS: dict[type[Event], Handler] = {
    **dict.fromkeys((*STANDING_AFTER, *OTHERS), Handler(_contribute, _pledge_needs)),
    CampaignSettled: Handler(_end, lambda recorded: _campaign_needs(recorded.subject)),
}
DEFINITION = Definition(
    source="campaign",
    commands=COMMANDS,
    reactions=REACTIONS,
    projections=(PAGES_PROJECTION, UPDATES_PROJECTION),
    tables=(CONTRIBUTIONS, TOTALS, TIER_CLAIMS),
    private_events=PRIVATE_EVENTS,
)
