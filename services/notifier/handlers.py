"""What runs inside the group's transaction: note facts, decide who is told, keep the contact book."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from contracts.campaign import CampaignLaunched, MilestoneCrossed, RewardTierAdded, UpdatePosted
from contracts.payment import PayoutSent
from contracts.pledge import PledgeFact, SlotOffered
from contracts.settlement import CampaignSettled
from eventing.definition import Answer, Definition, Handler, every_event
from eventing.tables import Table
from eventing.work import Need, Recorded, Work
from notifier import domain, domain_creator, domain_fan_out, domain_offer, domain_pledge
from notifier.domain import Backing, Campaign, Contact, Notice, SetContact, Tier
from notifier.domain_fan_out import FanOut

CONTACTS: Final = Table("contact", Contact, ("person_id",))
CAMPAIGNS: Final = Table("campaign", Campaign, ("campaign_id",))
TIERS: Final = Table("tier", Tier, ("tier_id",), lock=False)
BACKINGS: Final = Table("backing", Backing, ("pledge_id",))
FAN_OUTS: Final = Table("fan_out", FanOut, ("kind", "about_id"), lock=False)
# Here a notice is only ever made. What becomes of it stands in columns of its own, which are the sender's.
NOTICES: Final = Table("notice", Notice, ("kind", "person_id", "about_id"), lock=False)


def set_contact(work: Work, command: SetContact) -> Answer:
    """The answer is stored for its Idempotency-Key: it holds nothing of the person (DOMAIN N4)."""
    work.put(CONTACTS, Contact(command.person_id, command.email, command.name, command.locale, work.now))
    return {"status": "stored", "links": {"self": "/me/contact"}}


def _note_launch(work: Work, recorded: Recorded) -> None:
    fact: CampaignLaunched = recorded.event
    work.put(CAMPAIGNS, domain.launched(_locked_campaign(work, fact.campaign_id), fact))
    for tier in fact.tiers:
        work.put(TIERS, domain.tier(tier))


def _note_tier(work: Work, recorded: Recorded) -> None:
    fact: RewardTierAdded = recorded.event
    work.put(TIERS, domain.tier(fact.tier))


def _note_pledge(work: Work, recorded: Recorded) -> None:
    fact: PledgeFact = recorded.event
    campaign = _locked_campaign(work, fact.campaign_id)
    before = work.get(BACKINGS, fact.pledge_id)
    after = domain.backing(before, fact, recorded.version)
    is_newest = before is None or recorded.version > before.version
    notice = domain_pledge.pledge_notice(fact, recorded.event_id, work.now, before=before, is_newest=is_newest)
    _notify(work, notice)
    if after is not None and after != before:
        work.put(BACKINGS, after)
        _notify(work, domain_fan_out.late_outcome(campaign, after, work.now))


def _note_milestone(work: Work, recorded: Recorded) -> None:
    _fan_out(work, domain_fan_out.milestone(recorded.event, recorded.event_id, work.now))


def _note_update(work: Work, recorded: Recorded) -> None:
    _fan_out(work, domain_fan_out.update(recorded.event, work.now))


def _note_outcome(work: Work, recorded: Recorded) -> None:
    fact: CampaignSettled = recorded.event
    campaign = _locked_campaign(work, fact.campaign_id)
    work.put(CAMPAIGNS, replace(campaign, outcome=fact.outcome))
    _fan_out(work, domain_fan_out.outcome(fact, work.now))
    _notify(work, domain_creator.settled_notice(fact, work.now))


def _note_offer(work: Work, recorded: Recorded) -> None:
    _notify(work, domain_offer.offer_notice(recorded.event, work.now))


def _note_payout(work: Work, recorded: Recorded) -> None:
    _notify(work, domain_creator.payout_notice(recorded.event, recorded.event_id, work.now))


def _locked_campaign(work: Work, campaign_id: UUID) -> Campaign:
    """The campaign's row under lock, made if it is not there.

    Facts of its pledges and its outcome come one after the other by this lock. So either the fan-out of the
    outcome sees a pledge, or the pledge's fact sees the outcome: no backer is left out between the two.
    """
    campaign = work.get(CAMPAIGNS, campaign_id)
    if campaign is None:
        campaign = Campaign(campaign_id)
        work.put(CAMPAIGNS, campaign)
    return campaign


def _notify(work: Work, notice: Notice | None) -> None:
    if notice is not None and work.get(NOTICES, *NOTICES.key_of(notice)) is None:
        work.put(NOTICES, notice)


def _fan_out(work: Work, fan_out: FanOut) -> None:
    if work.get(FAN_OUTS, *FAN_OUTS.key_of(fan_out)) is None:
        work.put(FAN_OUTS, fan_out)


def _pledge_needs(recorded: Recorded) -> Iterable[Need]:
    fact: PledgeFact = recorded.event
    yield CAMPAIGNS, (fact.campaign_id,)
    yield BACKINGS, (fact.pledge_id,)
    if notice := domain_pledge.pledge_notice(fact, recorded.event_id, recorded.time):
        yield NOTICES, NOTICES.key_of(notice)


def _launch_needs(recorded: Recorded) -> Iterable[Need]:
    fact: CampaignLaunched = recorded.event
    return [(CAMPAIGNS, (fact.campaign_id,)), *((TIERS, (tier.tier_id,)) for tier in fact.tiers)]


def _campaign_need(recorded: Recorded) -> Iterable[Need]:
    return ((CAMPAIGNS, (recorded.subject,)),)


REACTIONS: Final[dict[type[Any], Handler]] = {
    **dict.fromkeys((*domain.STANDING_AFTER, *domain.OTHERS), Handler(_note_pledge, _pledge_needs)),
    CampaignLaunched: Handler(_note_launch, _launch_needs),
    RewardTierAdded: Handler(_note_tier, lambda recorded: ((TIERS, (recorded.event.tier.tier_id,)),)),
    MilestoneCrossed: Handler(_note_milestone),
    UpdatePosted: Handler(_note_update),
    CampaignSettled: Handler(_note_outcome, _campaign_need),
    PayoutSent: Handler(_note_payout),
    SlotOffered: Handler(_note_offer),
}
DEFINITION: Final = Definition(
    source="notifier",
    commands={SetContact: Handler(set_contact, lambda command: ((CONTACTS, (command.person_id,)),))},
    reactions=REACTIONS,
    tables=(CONTACTS, CAMPAIGNS, TIERS, BACKINGS, FAN_OUTS, NOTICES),
    patient=every_event,
    gather_seconds=0.2,
)
