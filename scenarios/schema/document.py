"""The schema as text."""

import json
from pathlib import Path

from scenarios.model import Scenario

FILE = Path(__file__).with_name("scenario.schema.json")


def text() -> str:
    schema = Scenario.model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema, indent=2) + "\n"
