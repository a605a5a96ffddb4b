"""What phases add up to, for each model and each way that a pledge can end."""

from typing import Any

from contracts.settlement import Outcome
from scenarios.model import Scenario, Tally
from scenarios.reckoning import reckon
from tests.unit.scenarios.files import changed


def scenario(document: dict[str, Any]) -> Scenario:
    return Scenario.model_validate(document)


def with_group(**group: object) -> dict[str, Any]:
    first = {"group": "sitters", "tier": "seat", "amount": 1_000, "backers": {"DE": 12}}
    return changed("phases.0.pledge", [first, {"group": "others", "amount": 500, "backers": {"SE": 3}} | group])


class TestAllOrNothing:
    def test_below_the_goal_every_hold_is_released(self) -> None:
        found = reckon(scenario(changed("campaign.goal", 10_001)))
        assert (found.outcome, found.captured) == (Outcome.FAILED, Tally())
        assert found.voided == Tally(count=12, amount=12_000)

    def test_at_the_goal_cancelled_holds_are_released_and_the_rest_is_captured(self) -> None:
        found = reckon(scenario(changed("campaign.goal", 10_000)))
        assert (found.outcome, found.captured) == (Outcome.FUNDED, Tally(count=10, amount=10_000))
        assert found.voided == Tally(count=2, amount=2_000)

    def test_a_capture_that_fails_is_dropped(self) -> None:
        found = reckon(scenario(with_group(card="pm_card_captureFails")))
        assert found.dropped == Tally(count=3, amount=1_500)
        assert found.pledged == Tally(count=13, amount=11_500)
        assert found.outcome is Outcome.FUNDED

    def test_drops_can_bring_the_collected_sum_below_the_goal(self) -> None:
        document = with_group(card="pm_card_captureFails")
        document["campaign"]["goal"] = 11_000
        assert reckon(scenario(document)).outcome is Outcome.PARTIALLY_FUNDED


class TestKeepItAll:
    def test_what_is_cancelled_was_captured_and_given_back(self) -> None:
        found = reckon(scenario(changed("campaign.model", "keep_it_all")))
        assert found.captured == Tally(count=12, amount=12_000)
        assert found.refunded == Tally(count=2, amount=2_000)
        assert found.voided == Tally()

    def test_is_partially_funded_below_its_goal(self) -> None:
        document = changed("campaign.model", "keep_it_all")
        document["campaign"]["goal"] = 20_000
        assert reckon(scenario(document)).outcome is Outcome.PARTIALLY_FUNDED


def test_declined_and_refused_pledges_count_for_nothing_else() -> None:
    found = reckon(scenario(with_group(expect={"declined": 2, "sold-out": 1})))
    assert found.pledged == Tally(count=10, amount=10_000)
    assert (found.declined, found.refused) == (2, {"sold-out": 1})


class TestMilestones:
    def test_stay_crossed_when_the_total_falls_back(self) -> None:
        found = reckon(scenario(changed("campaign.goal", 12_000)))
        assert found.pledged.amount < 12_000
        assert found.milestones == (25, 50, 75, 100)

    def test_stretch_goals_stand_among_them_by_amount(self) -> None:
        goals = [{"title": "Later", "amount": 12_001}, {"title": "Soon", "amount": 11_000}]
        assert reckon(scenario(changed("campaign.stretch_goals", goals))).milestones == (25, 50, 75, 100, "Soon")
