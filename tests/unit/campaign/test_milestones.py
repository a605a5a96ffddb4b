"""Milestones (DOMAIN C6): each once for ever, ascending, whatever way the total takes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.domain import Campaign, CampaignEnded, cross, evolve, share_of
from contracts.campaign import CampaignCancelled, CampaignClosed, MilestoneCrossed, StretchGoal
from contracts.settlement import Outcome
from tests.unit.campaign.drafts import CAMPAIGN_ID, DEADLINE, NOW, active, closed, draft, eur

GOALS = st.integers(1, 10**12)


def walk(state: Campaign, totals: list[int]) -> tuple[Campaign, list[MilestoneCrossed]]:
    """What fires while the total takes these values one after the other."""
    fired: list[MilestoneCrossed] = []
    for total in totals:
        for milestone in cross(state, total, 1):
            fired.append(milestone)
            state = evolve(state, milestone)
    return state, fired


def percents(fired: list[MilestoneCrossed]) -> list[int | None]:
    return [milestone.percent for milestone in fired]


class TestCross:
    def test_fires_at_the_threshold_and_not_a_cent_before(self) -> None:
        assert walk(active(goal=eur(10_000)), [2_499])[1] == []
        assert percents(walk(active(goal=eur(10_000)), [2_500])[1]) == [25]

    def test_a_threshold_between_two_cents_is_rounded_up(self) -> None:
        assert [share_of(eur(10_001), percent).amount for percent in (25, 50, 75, 100)] == [2501, 5001, 7501, 10001]

    def test_one_pledge_crosses_several_in_ascending_order(self) -> None:
        stretches = (StretchGoal(title="B", amount=eur(30_000)), StretchGoal(title="A", amount=eur(20_000)))
        _, fired = walk(active(goal=eur(10_000), stretch_goals=stretches), [30_000])
        assert [(m.percent, m.stretch_goal) for m in fired] == [
            (25, None),
            (50, None),
            (75, None),
            (100, None),
            (None, "A"),
            (None, "B"),
        ]
        assert {(m.total.amount, m.backers) for m in fired} == {(30_000, 1)}

    def test_a_fall_and_a_second_climb_fire_nothing(self) -> None:
        _, fired = walk(active(goal=eur(10_000)), [6_000, 100, 6_000, 7_500])
        assert percents(fired) == [25, 50, 75]

    def test_a_goal_of_one_cent_fires_all_four_in_their_order(self) -> None:
        assert percents(walk(active(goal=eur(1)), [1])[1]) == [25, 50, 75, 100]

    def test_goes_on_while_settling_and_after_success(self) -> None:
        funded = evolve(closed(), CampaignEnded(campaign_id=CAMPAIGN_ID, outcome=Outcome.FUNDED))
        assert percents(walk(closed(), [2_500])[1]) == [25]
        assert percents(walk(funded, [2_500])[1]) == [25]

    @pytest.mark.parametrize("how", ["draft", "cancelled", "failed"])
    def test_fires_nothing_where_there_is_nothing_to_celebrate(self, how: str) -> None:
        state = {
            "draft": draft(),
            "cancelled": evolve(active(), CampaignCancelled(campaign_id=CAMPAIGN_ID, cancelled_at=NOW)),
            "failed": evolve(closed(), CampaignEnded(campaign_id=CAMPAIGN_ID, outcome=Outcome.FAILED)),
        }[how]
        assert (cross(state, 10**9, 1), state.next_threshold_minor) == ((), None)


@given(goal=GOALS, stretches=st.lists(GOALS, max_size=5), totals=st.lists(st.integers(0, 2 * 10**12), max_size=30))
def test_whatever_way_the_total_takes(goal: int, stretches: list[int], totals: list[int]) -> None:
    """Exactly the thresholds up to the highest total fire, ascending, each once."""
    above = tuple(StretchGoal(title=str(n), amount=eur(goal + amount)) for n, amount in enumerate(stretches))
    start = active(goal=eur(goal), stretch_goals=above)
    state, fired = walk(start, totals)
    reached = [m for m in start.milestones if m.threshold.amount <= max(totals, default=0)]
    assert [(m.threshold, m.percent, m.stretch_goal) for m in fired] == [
        (m.threshold, m.percent, m.stretch_goal) for m in reached
    ]
    assert all(a.threshold <= b.threshold for a, b in pairwise(fired))
    left = start.milestones[len(fired) :]
    assert state.next_threshold_minor == (left[0].threshold.amount if left else None)


@given(goal=GOALS, percent=st.sampled_from((25, 50, 75, 100)))
def test_a_share_is_the_smallest_amount_that_reaches_the_percentage(goal: int, percent: int) -> None:
    share = share_of(eur(goal), percent).amount
    assert share * 100 >= goal * percent
    assert (share - 1) * 100 < goal * percent


def test_closing_does_not_forget_what_was_crossed() -> None:
    state, _ = walk(active(goal=eur(10_000)), [5_000])
    state = evolve(state, CampaignClosed(campaign_id=CAMPAIGN_ID, closed_at=DEADLINE))
    assert percents(list(cross(state, 7_500, 2))) == [75]
