"""The creator and the backers of a scenario: who they are, their tokens, where their mail goes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from deploy.local.issuer import Role
from deploy.local.platform import Platform
from scenarios.model import PledgeGroup, Scenario

# The language of whoever lives there; English where nothing is said.
LOCALES: Final = {
    "AT": "de-AT",
    "DE": "de-DE",
    "ES": "es-ES",
    "FR": "fr-FR",
    "GB": "en-GB",
    "IT": "it-IT",
    "JP": "ja-JP",
    "NL": "nl-NL",
    "PL": "pl-PL",
    "SE": "sv-SE",
}


@dataclass(frozen=True)
class Person:
    id: uuid.UUID
    token: str
    name: str
    email: str
    locale: str

    @property
    def contact(self) -> dict[str, str]:
        return {"email": self.email, "name": self.name, "locale": self.locale}


@dataclass(frozen=True)
class Cast:
    """Everybody in a scenario; backers by their group, in the order of the file."""

    creator: Person
    backers: dict[str, tuple[tuple[Person, str], ...]]

    def everybody(self) -> Iterator[Person]:
        yield self.creator
        for group in self.backers.values():
            yield from (person for person, _ in group)


def cast(scenario: Scenario, platform: Platform) -> Cast:
    """New people for every run, so that none has a pledge from an earlier one. Blocks while tokens are made."""
    groups = [group for phase in scenario.phases for group in phase.pledge]
    creator = _person(platform, "creator", f"{scenario.name}-creator", "en-GB")
    return Cast(creator, {group.group: tuple(_backers(scenario, group, platform)) for group in groups})


def _backers(scenario: Scenario, group: PledgeGroup, platform: Platform) -> Iterator[tuple[Person, str]]:
    """Each with the country that the reward goes to."""
    number = 0
    for country, count in group.backers.items():
        for _ in range(count):
            number += 1
            name = f"{scenario.name}-{group.group}-{number}"
            yield _person(platform, "backer", name, LOCALES.get(country, "en-US")), country


def _person(platform: Platform, role: Role, name: str, locale: str) -> Person:
    id_ = uuid.uuid4()
    email = f"{name}.{id_.hex[:8]}@groundswell.example"
    return Person(id_, platform.mint(id_, [role]), name.replace("-", " ").title(), email, locale)
