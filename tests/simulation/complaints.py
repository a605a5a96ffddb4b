"""What happens to money that was taken, beside the platform: refunds by hand in the dashboard, and disputes."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from stripe_sandbox.errors import StripeError
from stripe_sandbox.events import Event, Origin
from stripe_sandbox.resources import Charge
from stripe_sandbox.sandbox import Sandbox

DAY: Final = 24 * 3600.0
PAUSES_SECONDS: Final = (1.0, 20.0, 600.0, 2 * DAY)
PART: Final = 20  # A half, and whole tens: of some currencies no less can be given back.


@dataclass
class Complaints:
    """About `rate` of all charges, once or twice each. They go on while everything heals."""

    sandbox: Sandbox
    rate: float
    chance: random.Random
    coming: int = field(default=0, init=False)

    def is_one_due(self, event: Event) -> bool:
        charge = event.subject
        taken = event.type in {"charge.captured", "charge.succeeded"} and isinstance(charge, Charge) and charge.captured
        return taken and self.rate > 0 and self.chance.random() < self.rate

    async def complain(self, charge_id: str) -> None:
        self.coming += 1
        for _ in range(self.chance.choice((1, 1, 2))):
            await self._pause()
            with suppress(StripeError):  # there is nothing left to give back, or the bank has it already
                await self.chance.choice((self._refund, self._dispute))(charge_id)
        self.coming -= 1

    async def _refund(self, charge_id: str) -> None:
        charge = self._charge(charge_id)
        amount = self.chance.choice((None, charge.amount_captured // PART * 10))
        self.sandbox.balance.refund(charge, amount or None, "requested_by_customer", {}, Origin())

    async def _dispute(self, charge_id: str) -> None:
        dispute = self.sandbox.disputes.open(self._charge(charge_id), "fraudulent")
        await self._pause()
        won = self.chance.choice((True, False))
        self.sandbox.disputes.close(dispute, won=won, fee_returned=won and self.chance.choice((True, False)))

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.choice(PAUSES_SECONDS))

    def _charge(self, charge_id: str) -> Charge:
        charge = self.sandbox.state.charges.get(charge_id)
        assert charge is not None
        return charge
