"""What people do in a run: a campaign, its backers and their second thoughts, all drawn from the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contracts.campaign import FundingModel, PaymentStrategy

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
PLEDGES: Final = 50
OPENING_SECONDS: Final = 6.0

GOOD_CARD: Final = "pm_card_visa"
# The card of a pledge, each as often as it stands here.
CARDS: Final = (
    *(GOOD_CARD,) * 12,
    "pm_card_mastercard",
    "pm_card_de",
    "pm_card_captureFails",
    "pm_card_chargeCustomerFail",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_visa_chargeDeclinedLostCard",
    "pm_card_threeDSecure2Required",
    "pm_card_authenticationRequiredOnSetup",
    "pm_card_authenticationRequired",
)


STRATEGIES: Final = (
    PaymentStrategy.HOLD,
    PaymentStrategy.HOLD,
    PaymentStrategy.EXTENDED_HOLD,
    PaymentStrategy.SAVED_CARD,
)
LOOK_DAYS: Final = 1.5  # Often enough that no hold lapses unseen while all is well.


class Act(StrEnum):
    CANCEL = "cancel"
    CHANGE = "change"


@dataclass(frozen=True)
class Wish:
    """What a backer does later, `at` seconds after the launch. A change names its amount and card."""

    at: float
    act: Act
    minor: int = 0
    card: str = ""


@dataclass(frozen=True)
class Backer:
    at: float
    minor: int
    card: str
    wishes: tuple[Wish, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One campaign from its launch to its end. Times are seconds after the launch; `scenes` are when things happen."""

    model: FundingModel
    strategy: PaymentStrategy
    currency: str
    goal_minor: int
    deadline: float
    backers: tuple[Backer, ...]
    given_up_at: float | None  # by the creator
    scenes: tuple[tuple[float, float], ...]  # start and length; between them time is jumped over
    complaints: float = 0.0  # how many of all charges are given back by hand, or disputed


def plan_of(seed: int, pledges: int = PLEDGES) -> Plan:
    chance = random.Random(f"{seed} people")
    model = chance.choices((FundingModel.ALL_OR_NOTHING, FundingModel.KEEP_IT_ALL), (3, 1))[0]
    strategy = chance.choice(STRATEGIES)
    deadline = chance.choice((40.0, 3 * HOUR, 2 * DAY, 4 * DAY, 9 * DAY, 20 * DAY))
    second = chance.uniform(OPENING_SECONDS, deadline)
    currency = chance.choice(("EUR", "EUR", "JPY", "KWD"))
    backers = tuple(_backer(chance, second, deadline) for _ in range(pledges))
    total = sum(backer.minor for backer in backers)
    return Plan(
        model=model,
        strategy=strategy,
        currency=currency,
        goal_minor=round(total * chance.choice((0.2, 0.2, 0.5, 1.5))),
        deadline=deadline,
        backers=backers,
        given_up_at=chance.choice((5.0, second + 3, deadline - 1, deadline + 1)) if chance.random() < 0.15 else None,
        scenes=tuple(_scenes(chance, second, deadline)),
        complaints=chance.choice((0.0, 0.2)),
    )


def _scenes(chance: random.Random, second: float, deadline: float) -> list[tuple[float, float]]:
    """People come at three times; between them holds are renewed, if somebody is up."""
    quiet = [(chance.uniform(0.7, 1) * LOOK_DAYS * DAY * n, 6.0) for n in range(1, int(deadline / DAY / LOOK_DAYS))]
    return sorted([(0, OPENING_SECONDS + 4), (second, 8.0), *quiet, (deadline - 5, 15.0)])


def _backer(chance: random.Random, second: float, deadline: float) -> Backer:
    at = chance.choices((chance.uniform(0, OPENING_SECONDS), chance.uniform(deadline - 4, deadline)), (9, 1))[0]
    return Backer(at, _minor(chance), chance.choice(CARDS), tuple(_wishes(chance, at, second, deadline)))


def _wishes(chance: random.Random, at: float, second: float, deadline: float) -> Sequence[Wish]:
    moments = (at + chance.expovariate(1 / 2), second + chance.uniform(0, 5), deadline - chance.uniform(0, 4))
    found = [Wish(moment, Act.CHANGE, _minor(chance), chance.choice(CARDS)) for moment in moments if _one_in(chance, 9)]
    if _one_in(chance, 5):
        found.append(Wish(chance.choice(moments), Act.CANCEL))
    return sorted(found, key=lambda wish: wish.at)


def _one_in(chance: random.Random, number: int) -> bool:
    return chance.randrange(number) == 0


def _minor(chance: random.Random) -> int:
    return chance.randrange(50, 3_000) * 10
