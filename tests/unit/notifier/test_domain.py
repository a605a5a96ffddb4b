"""Which notice a fact leads to, and what becomes of one that could not be sent (DOMAIN N1, N2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.campaign import MilestoneCrossed, PaymentStrategy, UpdateKind, UpdatePosted
from contracts.ids import CampaignId, ChangeId, OfferId, PersonId, PledgeId, TierId, UpdateId, new_id
from contracts.money import Money
from contracts.payment import PayoutKind, PayoutSent
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeFact,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
    SlotOffered,
)
from contracts.settlement import CampaignSettled, Outcome, Tally
from contracts.subscriptions import SUBSCRIPTIONS
from notifier import domain, domain_creator, domain_fan_out, domain_offer, domain_pledge
from notifier.domain import Backing, Campaign, Facts, Kind, Notice, Standing, Status

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
CAMPAIGN, PLEDGE, BACKER, CREATOR = CampaignId(new_id()), PledgeId(new_id()), PersonId(new_id()), PersonId(new_id())
EVENT = new_id()
PRICE, PART = Money(amount=2500, currency="EUR"), Money(amount=500, currency="EUR")
PLEDGED: dict[str, Any] = {
    "pledge_id": PLEDGE,
    "campaign_id": CAMPAIGN,
    "backer_id": BACKER,
    "amount": PRICE,
    "country": "DE",
}
PLACED = PledgePlaced(**PLEDGED, payment_method="pm_1", strategy=PaymentStrategy.HOLD, placed_at=NOW, lease_until=NOW)
AUTHORIZED = PledgeAuthorized(**PLEDGED, hold_id="pi_1")
CAPTURED = PledgeCaptured(**PLEDGED)
CANCELLED = PledgeCancelled(**PLEDGED, cancelled_at=NOW, reason="backer")
CHANGED = PledgeChanged(
    **{**PLEDGED, "amount": Money(amount=4000, currency="EUR")},
    change_id=ChangeId(new_id()),
    hold_id="pi_2",
    previous_amount=PRICE,
)
SILENT = [
    PLACED,
    CHANGED,
    PledgeCaptureFailed(**PLEDGED, reason="card_declined"),
    PledgeVoided(**PLEDGED),
    PledgeDropped(**PLEDGED),
]


def backed(before: Backing | None, fact: PledgeFact, version: int) -> Backing:
    row = domain.backing(before, fact, version)
    assert row is not None
    return row


def told_of(fact: PledgeFact, *, event_id: UUID = EVENT, before: Backing | None = None) -> Notice:
    notice = domain_pledge.pledge_notice(fact, event_id, NOW, before=before)
    assert notice is not None
    return notice


def settled(outcome: Outcome) -> CampaignSettled:
    none = Tally(count=0, total=Money(amount=0, currency="EUR"))
    return CampaignSettled(
        campaign_id=CAMPAIGN, creator_id=CREATOR, outcome=outcome, captured=none, dropped=none, voided=none
    )


def update(title: str, text: str, tier_id: TierId | None = None) -> UpdatePosted:
    return UpdatePosted(
        campaign_id=CAMPAIGN,
        update_id=UpdateId(new_id()),
        number=1,
        kind=UpdateKind.PRODUCTION,
        tier_id=tier_id,
        title=title,
        text=text,
        posted_at=NOW,
    )


class TestPledge:
    @pytest.mark.parametrize(
        ("fact", "kind", "reason"),
        [
            (AUTHORIZED, Kind.PLEDGE_CONFIRMED, ""),
            (CAPTURED, Kind.PLEDGE_CONFIRMED, ""),
            (PledgeDeclined(**PLEDGED, reason="insufficient_funds"), Kind.PLEDGE_DECLINED, "insufficient_funds"),
            (CANCELLED, Kind.PLEDGE_CANCELLED, "backer"),
        ],
    )
    def test_its_backer_is_told_about_the_pledge(self, fact: PledgeFact, kind: Kind, reason: str) -> None:
        notice = domain_pledge.pledge_notice(fact, EVENT, NOW)
        assert notice is not None
        assert (notice.kind, notice.person_id, notice.about_id) == (kind, BACKER, PLEDGE)
        assert (notice.urgent, Facts.model_validate_json(notice.facts).reason) == (True, reason)

    @pytest.mark.parametrize("fact", SILENT, ids=lambda fact: type(fact).__name__)
    def test_other_facts_tell_nobody_yet(self, fact: PledgeFact) -> None:
        assert domain_pledge.pledge_notice(fact, EVENT, NOW) is None

    def test_hold_and_charge_lead_to_the_same_notice(self) -> None:
        """A capture after a hold, or one that overtakes it, confirms nothing a second time."""
        assert domain_pledge.pledge_notice(AUTHORIZED, EVENT, NOW) == domain_pledge.pledge_notice(CAPTURED, EVENT, NOW)

    def test_a_bank_that_wants_the_backer_is_told_of_once_for_the_pledge_and_once_for_each_change(self) -> None:
        change_id = ChangeId(new_id())
        first, again = (told_of(PledgeActionRequired(**PLEDGED), event_id=new_id()) for _ in range(2))
        assert (first.kind, first.about_id) == (Kind.ACTION_REQUIRED, PLEDGE)
        assert again == first
        changing = told_of(PledgeActionRequired(**PLEDGED, change_id=change_id))
        assert (changing.about_id, Facts.model_validate_json(changing.facts).of_change) == (change_id, True)

    def test_each_risk_is_told_of_while_it_lasts_and_its_end_to_who_was_told(self) -> None:
        risk = PledgeAtRisk(**PLEDGED, reason="do_not_honor", lost=True, hard=True)
        told = told_of(risk)
        assert (told.kind, told.about_id) == (Kind.PLEDGE_AT_RISK, EVENT)
        assert Facts.model_validate_json(told.facts) == Facts(reason="do_not_honor", lost=True, hard=True)
        assert domain_pledge.pledge_notice(risk, EVENT, NOW, is_newest=False) is None
        threatened = backed(None, risk, 3)
        renewed = PledgeHoldRenewed(**PLEDGED, previous_hold_id="pi_1", hold_id="pi_2")
        for mended in (renewed, CHANGED):
            assert told_of(mended, before=threatened).kind is Kind.PLEDGE_RECOVERED
            assert domain_pledge.pledge_notice(mended, EVENT, NOW, before=backed(None, AUTHORIZED, 2)) is None

    def test_a_refund_in_part_is_about_its_event_and_the_whole_about_the_pledge(self) -> None:
        part = told_of(PledgePartlyRefunded(**PLEDGED, refunded=PART))
        whole = told_of(PledgeRefunded(**PLEDGED))
        assert [(one.kind, one.about_id) for one in (part, whole)] == [
            (Kind.PLEDGE_REFUNDED, EVENT),
            (Kind.PLEDGE_REFUNDED, PLEDGE),
        ]
        assert Facts.model_validate_json(part.facts) == Facts(refunded=PART, partly=True)
        assert Facts.model_validate_json(whole.facts) == Facts(refunded=PRICE)

    def test_a_dispute_is_told_to_the_creator(self) -> None:
        about = {**PLEDGED, "creator_id": CREATOR, "dispute_id": "dp_1", "disputed": PRICE}
        opened = told_of(PledgeDisputeOpened(**about, reason="fraudulent"))
        closed = told_of(PledgeDisputeClosed(**about, won=True))
        assert [(one.kind, one.person_id, one.pledge_id) for one in (opened, closed)] == [
            (Kind.DISPUTE_OPENED, CREATOR, None),
            (Kind.DISPUTE_CLOSED, CREATOR, None),
        ]

    def test_every_fact_that_comes_in_has_a_standing(self) -> None:
        facts = {event for event in SUBSCRIPTIONS["notifier"] if issubclass(event, PledgeFact)}
        assert {*domain.STANDING_AFTER, *domain.OTHERS} == facts


class TestOffer:
    def test_who_waited_is_told_once_of_each_offer_and_until_when(self) -> None:
        fact = SlotOffered(
            offer_id=OfferId(new_id()),
            campaign_id=CAMPAIGN,
            tier_id=TierId(new_id()),
            backer_id=BACKER,
            offered_until=NOW,
        )
        notice = domain_offer.offer_notice(fact, NOW)
        assert (notice.kind, notice.person_id, notice.about_id) == (Kind.SLOT_OFFERED, BACKER, fact.offer_id)
        assert Facts.model_validate_json(notice.facts) == Facts(until=NOW)


class TestBacking:
    def test_what_has_no_standing_of_its_own_leaves_it_whatever_it_overtakes(self) -> None:
        about = {**PLEDGED, "creator_id": CREATOR, "dispute_id": "dp_1", "disputed": PRICE}
        held = backed(None, AUTHORIZED, 2)
        assert domain.backing(held, PledgeDisputeOpened(**about, reason="fraudulent"), 4) is held
        assert domain.backing(None, PledgeActionRequired(**PLEDGED, change_id=ChangeId(new_id())), 4) is None
        assert backed(None, PledgeActionRequired(**PLEDGED), 2).standing is Standing.PENDING

    def test_the_newest_fact_counts_in_whatever_order_they_come(self) -> None:
        in_order = backed(backed(None, AUTHORIZED, 2), CANCELLED, 3)
        overtaken = backed(backed(None, CANCELLED, 3), AUTHORIZED, 2)
        assert in_order == overtaken
        assert in_order.standing is Standing.ENDED

    def test_a_changed_pledge_stands_with_its_new_amount_and_stays_charged_in_keep_it_all(self) -> None:
        changed = backed(backed(None, AUTHORIZED, 2), CHANGED, 3)
        assert (changed.standing, changed.amount_minor) == (Standing.AUTHORIZED, 4000)
        charged = CHANGED.model_copy(update={"hold_id": None})
        assert backed(backed(None, CAPTURED, 2), charged, 3).standing is Standing.CAPTURED

    def test_a_repeated_fact_changes_nothing(self) -> None:
        row = backed(None, AUTHORIZED, 2)
        assert backed(row, AUTHORIZED, 2) is row


class TestToAllBackers:
    def test_a_milestone_is_about_its_event(self) -> None:
        event_id = new_id()
        total = Money(amount=5000, currency="EUR")
        fact = MilestoneCrossed(campaign_id=CAMPAIGN, threshold=PRICE, percent=50, total=total, backers=2)
        fan_out = domain_fan_out.milestone(fact, event_id, NOW)
        assert (fan_out.kind, fan_out.about_id, fan_out.campaign_id) == (Kind.MILESTONE, event_id, CAMPAIGN)
        assert Facts.model_validate_json(fan_out.facts) == Facts(percent=50, total=total, backers=2)

    @pytest.mark.parametrize(
        ("outcome", "kind", "audience"),
        [
            (Outcome.FUNDED, Kind.CAMPAIGN_FUNDED, {Standing.CAPTURED}),
            (Outcome.PARTIALLY_FUNDED, Kind.CAMPAIGN_PARTIALLY_FUNDED, {Standing.CAPTURED}),
            (Outcome.FAILED, Kind.CAMPAIGN_FAILED, {Standing.VOIDED}),
        ],
    )
    def test_an_outcome_is_about_the_campaign(self, outcome: Outcome, kind: Kind, audience: set[Standing]) -> None:
        fan_out = domain_fan_out.outcome(settled(outcome), NOW)
        assert (fan_out.kind, fan_out.about_id) == (kind, CAMPAIGN)
        assert domain_fan_out.AUDIENCE[kind] == audience

    def test_a_backer_whose_capture_comes_in_after_the_outcome_is_told_the_same(self) -> None:
        campaign = Campaign(CAMPAIGN, outcome=Outcome.FUNDED)
        row = backed(None, CAPTURED, 3)
        notice = domain_fan_out.late_outcome(campaign, row, NOW)
        assert notice is not None
        assert (notice.kind, notice.person_id, notice.about_id) == (Kind.CAMPAIGN_FUNDED, BACKER, CAMPAIGN)

    def test_who_was_dropped_is_not_told_that_it_is_funded(self) -> None:
        campaign = Campaign(CAMPAIGN, outcome=Outcome.FUNDED)
        row = replace(backed(None, CAPTURED, 3), standing=Standing.ENDED)
        assert domain_fan_out.late_outcome(campaign, row, NOW) is None
        assert domain_fan_out.late_outcome(Campaign(CAMPAIGN), row, NOW) is None


class TestUpdate:
    @pytest.mark.parametrize("tier_id", [None, TierId(new_id())])
    def test_it_is_for_who_backs_the_campaign_or_has_its_tier(self, tier_id: TierId | None) -> None:
        fact = update("Moulds", "We cast on Monday.", tier_id)
        fan_out = domain_fan_out.update(fact, NOW)
        assert (fan_out.kind, fan_out.about_id, fan_out.campaign_id) == (Kind.CREATOR_UPDATE, fact.update_id, CAMPAIGN)
        assert fan_out.tier_id == tier_id
        assert Facts.model_validate_json(fan_out.facts) == Facts(title="Moulds", text="We cast on Monday.")
        assert domain_fan_out.AUDIENCE[fan_out.kind] == {Standing.AUTHORIZED, Standing.AT_RISK, Standing.CAPTURED}

    def test_a_text_at_the_limit_is_told_whole_and_a_longer_one_only_up_to_it(self) -> None:
        limit = domain_fan_out.UPDATE_CHARACTERS_MAX
        told = [domain_fan_out.update(update("News", "é" * length), NOW).facts for length in (limit, limit + 1)]
        assert [Facts.model_validate_json(facts).text for facts in told] == ["é" * limit, "é" * limit + " …"]


class TestCreator:
    def test_is_told_of_the_settlement_and_of_the_payout(self) -> None:
        zero = Money(amount=0, currency="EUR")
        payout = PayoutSent(
            campaign_id=CAMPAIGN,
            creator_id=CREATOR,
            amount=PRICE,
            captured=PRICE,
            platform_fee=zero,
            provider_fee=zero,
            transfer_id="tr_1",
        )
        told = [
            domain_creator.settled_notice(settled(Outcome.FUNDED), NOW),
            domain_creator.payout_notice(payout, EVENT, NOW),
        ]
        assert [(one.kind, one.person_id, one.about_id) for one in told] == [
            (Kind.CREATOR_SETTLED, CREATOR, CAMPAIGN),
            (Kind.CREATOR_PAYOUT, CREATOR, CAMPAIGN),
        ]
        later = payout.model_copy(update={"kind": PayoutKind.RESERVE, "released": PART})
        notice = domain_creator.payout_notice(later, EVENT, NOW)
        facts = Facts.model_validate_json(notice.facts)
        assert (notice.about_id, facts.payout_kind, facts.released) == (EVENT, PayoutKind.RESERVE, PART)


class TestWaiting:
    def test_the_pause_doubles_is_spread_and_has_an_end(self) -> None:
        pauses = [(domain.deferred(n, NOW, "SMTP 451", 1).due_at - NOW).total_seconds() for n in (0, 1, 5, 30)]
        assert pauses == [1, 2, 32, 3600]
        assert domain.deferred(5, NOW, "SMTP 451", 0).due_at == NOW + timedelta(seconds=16)
        assert domain.deferred(domain.DEFERRALS_MAX, NOW, "SMTP 451", 0).status is Status.GIVEN_UP

    def test_without_an_address_it_waits_for_the_patience_and_not_longer(self) -> None:
        patience = timedelta(hours=1)
        waits = domain.without_contact(NOW, patience, NOW + patience - timedelta(seconds=1), 0)
        assert (waits.status, waits.due_at) == (Status.CONTACTLESS, NOW + patience)
        assert domain.without_contact(NOW, patience, NOW + patience, 0).status is Status.SKIPPED


def test_a_notice_has_one_mark_and_no_other_has_it() -> None:
    key = (Kind.MILESTONE, BACKER, CAMPAIGN)
    assert domain.mark(*key) == domain.mark(*key)
    others = {domain.mark(*key), domain.mark(Kind.MILESTONE, CREATOR, CAMPAIGN), domain.mark("x", BACKER, CAMPAIGN)}
    assert len(others) == 3
