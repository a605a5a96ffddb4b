"""From pledge to page, with pages and times made up."""

import pytest

from scenarios.visibility import Visibility


def test_the_nth_pledge_sent_is_matched_with_the_first_page_that_shows_n_more_backers() -> None:
    seen = Visibility()
    for at, backers in ((10.0, 5), (10.2, 6), (10.3, 6), (10.5, 8)):
        seen.page(at, backers)
    seen.end(5, [10.1, 10.0, 10.4])
    assert seen.latencies == pytest.approx([0.2, 0.4, 0.1])


def test_a_phase_does_not_count_what_was_seen_before_it() -> None:
    seen = Visibility()
    seen.page(1.0, 3)
    seen.begin()
    seen.page(5.0, 3)
    seen.page(6.0, 4)
    seen.end(3, [5.5])
    assert seen.latencies == pytest.approx([0.5])


def test_percentiles_are_of_the_pledges_that_were_seen() -> None:
    seen = Visibility(latencies=[0.4, 0.1, 0.2, 0.3])
    assert (seen.percentile(0.5), seen.percentile(0.99)) == (0.3, 0.4)
    assert Visibility().percentile(0.99) == 0.0
