"""The sandbox's time: the machine's, moved forward on request."""

import time

from stripe_sandbox.errors import StripeError


class Clock:
    """Whole Unix seconds. It never goes back, so what is sorted by creation stays sorted."""

    def __init__(self) -> None:
        self._offset = 0

    def now(self) -> int:
        return int(time.time()) + self._offset

    def advance(self, seconds: int) -> int:
        """Move forward by `seconds` (≥ 0); the new time."""
        if seconds < 0:
            raise StripeError("The sandbox's clock only moves forward.")
        self._offset += seconds
        return self.now()
