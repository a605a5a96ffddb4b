"""A scenario file with a mistake is answered with the file, the place, what is wrong and what is allowed."""

import json
from pathlib import Path

import jsonschema
import pytest

from scenarios.loading import FOLDER, ScenarioError, load, read
from scenarios.schema.document import FILE, text
from tests.unit.scenarios.files import RIGHT, changed, read_document


class TestShippedScenarios:
    def test_are_right(self) -> None:
        assert [scenario.name for scenario in load()] == ["failed", "funded", "keep-it-all"]

    @pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
    def test_agree_with_the_schema_for_editors(self, path: Path) -> None:
        jsonschema.validate(json.loads(path.read_text()), json.loads(FILE.read_text()))


def test_the_schema_file_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run `python -m scenarios.schema`"


def test_a_right_file_is_read(tmp_path: Path) -> None:
    assert read_document(tmp_path, RIGHT).backers == 12


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        ("campaign.goal", 0, "campaign.goal", "greater than or equal to 1 (found 0)"),
        ("campaign.goal", 1.5, "campaign.goal", "valid integer"),
        ("campaign.goal", 10**13, "campaign.goal", "less than or equal to 1000000000000"),
        ("campaign.currency", "EURO", "campaign.currency", "'^[A-Z]{3}$' (found \"EURO\")"),
        ("campaign.currency", "XXX", "campaign.currency", "is not an ISO 4217 currency code"),
        ("campaign.model", "gift", "campaign.model", "'all_or_nothing' or 'keep_it_all' (found \"gift\")"),
        ("campaign.deadline_seconds", 1, "campaign.deadline_seconds", "greater than or equal to 5"),
        ("campaign.deadline", "tomorrow", "campaign", "has no field 'deadline'; allowed are title, story, goal"),
        (
            "campaign.policy.cancellation_cutoff_seconds",
            19,
            "campaign",
            "cutoff must lie some seconds after the launch",
        ),
        ("campaign.tiers.0.pool_of", "seat", "campaign.tiers[0]", "give limit or pool_of, not both"),
        ("phases", [], "phases", "at least 1 item"),
        ("phases.0.after", "lunch", "phases[0].after", "'cutoff'"),
        ("phases.0.cancel", [{"group": "sitters", "count": 1}], "phases[0]", "either pledge or cancel"),
        (
            "phases.0.pledge.0.card",
            "pm_gold",
            "phases[0].pledge[0]",
            "'pm_gold' is not known; allowed are pm_card_visa,",
        ),
        ("phases.0.pledge.0.backers", {"Germany": 1}, "phases[0].pledge[0].backers.Germany", "'^[A-Z]{2}$'"),
        ("phases.0.pledge.0.backers", {}, "phases[0].pledge[0].backers", "at least 1 item"),
        ("phases.0.pledge.0.expect", {"accepted": 3}, "phases[0].pledge[0]", "adds up to 3, but there are 12 backers"),
        ("phases.0.pledge.0.expect", {"gone": 12}, "phases[0].pledge[0].expect.gone", "'accepted', 'declined'"),
        ("phases.0.pledge.0.tier", "sofa", "phases[0].pledge[0].tier", "no tier 'sofa'; allowed are seat"),
        ("phases.1.cancel.0.group", "readers", "phases[1].cancel[0].group", "allowed are sitters"),
        ("phases.1.cancel.0.count", 13, "phases[1].cancel[0].count", "is 13, but 12 pledges of the group stand"),
        ("expect.outcome", "failed", "expect.outcome", "is 'failed', but the phases come to 'funded'"),
        (
            "expect.captured.amount",
            9_999,
            "expect.captured",
            "is 10 with 9999 minor units, but the phases come to 10 with",
        ),
        ("expect.milestones", [25], "expect.milestones", "the phases come to (25, 50, 75, 100)"),
        ("name", "Not A Name", "name", "'^[a-z0-9][a-z0-9-]{0,39}$'"),
    ],
)
def test_a_mistake_names_its_place_and_what_is_allowed(
    tmp_path: Path, path: str, value: object, place: str, message: str
) -> None:
    with pytest.raises(ScenarioError) as error:
        read_document(tmp_path, changed(path, value))
    line = str(error.value).splitlines()[0]
    assert line.startswith(f"{tmp_path}/scenario.json: {place}: ")
    assert message in line


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    document = changed("campaign.goal", 0)
    del document["expect"]
    with pytest.raises(ScenarioError) as error:
        read_document(tmp_path, document)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == ["campaign.goal", "expect"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1, column 1: not JSON"),
        (b'{"name": }', "line 1, column 10: not JSON"),
        (b'{"name": "a", "name": "b"}', "the name 'name' comes twice"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the whole file"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b" " * (2**20 + 1), "larger than"),
    ],
)
def test_what_is_no_scenario_at_all_is_said_so(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "scenario.json"
    file.write_bytes(content)
    with pytest.raises(ScenarioError, match=message):
        read(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.json: cannot be read: No such file"):
        read(tmp_path / "nowhere.json")


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        file.write_text(json.dumps(RIGHT), encoding="utf-8")
    with pytest.raises(ScenarioError, match="two scenarios are called 'small'"):
        load(files)
