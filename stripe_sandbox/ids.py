"""Ids that look like Stripe's: a prefix that tells the kind, then letters and digits."""

from random import Random


class Ids:
    """Draws ids with 96 random bits: no two alike in any run that fits into memory.

    A seeded `Random` gives the same ids in every run.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()

    def new(self, prefix: str) -> str:
        return f"{prefix}_{self._random.getrandbits(96):024x}"
