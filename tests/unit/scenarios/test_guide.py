"""The example in the guide is a scenario that can be played."""

import json
import re

from deploy.local.processes import REPOSITORY
from scenarios.model import Scenario
from scenarios.reckoning import problems

GUIDE = REPOSITORY / "docs/guides/scenarios.md"


def test_the_example_of_the_guide_is_right() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert list(problems(Scenario.model_validate(json.loads(example)))) == []
