"""How long a pledge takes to show: from sending it to the first public page whose number of backers includes it.

The page says how many backers there are, not who. So within a phase the n-th pledge sent (of those that came to
stand) is matched with the first page that showed n more backers than before the phase.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

POLL_SECONDS: Final = 0.1  # The resolution of the figures; ten requests a second a campaign are no load.


@dataclass
class Visibility:
    """`latencies` are seconds. Times are of `time.monotonic`."""

    latencies: list[float] = field(default_factory=list)
    _seen_at: list[float] = field(default_factory=list)
    _backers: list[int] = field(default_factory=list)

    def page(self, seen_at: float, backers: int) -> None:
        """A page came; only those that show more backers than any before say something."""
        if not self._backers or backers > self._backers[-1]:
            self._seen_at.append(seen_at)
            self._backers.append(backers)

    def begin(self) -> None:
        """A phase starts: what was seen before it says nothing about its pledges."""
        self._seen_at.clear()
        self._backers.clear()

    def end(self, before: int, sent_at: Sequence[float]) -> None:
        """A phase is at rest, `before` it there were so many backers, and these pledges came to stand."""
        for number, sent in enumerate(sorted(sent_at), start=1):
            at = bisect_left(self._backers, before + number)
            if at < len(self._backers):
                self.latencies.append(max(0.0, self._seen_at[at] - sent))

    def percentile(self, share: float) -> float:
        """Seconds below which that share of the pledges lies; 0 if there were none."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
