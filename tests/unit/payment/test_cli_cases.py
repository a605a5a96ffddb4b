"""What operators see on the command line."""

import json
from datetime import UTC, datetime

from contracts.ids import new_id
from payment.api_cases import shown, shown_whole
from payment.cases import CaseKind, CaseRow, CommentRow
from payment.cli_cases import listed, page
from payment.queries_cases import Whole

AT = datetime(2027, 3, 1, 12, tzinfo=UTC)
CASE = CaseRow(new_id(), CaseKind.DRIFT, "txn_1", "txn_1 is not in the ledger", AT)


class TestList:
    def test_an_empty_one_says_so_to_people_and_is_a_list_to_programs(self) -> None:
        assert listed([], as_json=False) == "No cases. Nothing waits for a person."
        assert json.loads(listed([], as_json=True)) == []

    def test_a_row_has_time_state_kind_id_and_summary_below_their_names(self) -> None:
        head, line, row = listed([shown(CASE)], as_json=False).splitlines()
        assert set(line) == {"-", " "}
        for name, value in (("opened (UTC)", "2027-03-01 12:00"), ("kind", "drift"), ("case", str(CASE.case_id))):
            assert head.index(name) == row.index(value)
        assert row.endswith("txn_1 is not in the ledger")


class TestPage:
    def test_it_has_the_case_and_who_said_what(self) -> None:
        said = CommentRow(new_id(), CASE.case_id, None, AT, "It agrees now.")
        text = page(shown_whole(Whole(CASE, (said,), None)))
        assert "about         txn_1" in text
        assert "campaign_id   -" in text
        assert text.splitlines()[-1] == "2027-03-01 12:00  the platform  It agrees now."

    def test_without_comments_it_says_so(self) -> None:
        assert page(shown_whole(Whole(CASE, (), None))).endswith("\n\nNo comments.")
