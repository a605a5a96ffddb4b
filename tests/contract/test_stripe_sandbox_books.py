"""Whatever is asked of the sandbox in whatever order: no money appears or vanishes, and the books say so."""

from contextlib import suppress
from dataclasses import dataclass
from random import Random

import pytest

from stripe_sandbox.errors import Document, StripeError
from stripe_sandbox.events import Origin
from stripe_sandbox.forms import Params, parse_form
from stripe_sandbox.money_api import find_charge
from stripe_sandbox.reading import Call
from stripe_sandbox.resources import Charge, Intent, Status
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.settings import Settings

CARDS = (
    "pm_card_visa",
    "pm_card_mastercard",
    "pm_card_chargeDeclined",
    "pm_card_captureFails",
    "pm_card_authenticationRequired",
)
STEPS = 120
ENDS = {Status.SUCCEEDED, Status.CANCELED}


@dataclass
class Player:
    """Asks for random things, sensible or not."""

    sandbox: Sandbox
    random: Random

    def run(self, method: str, path: str, form: str = "") -> Document | None:
        """The answer, or None when it was refused."""
        try:
            return self.sandbox.api.run(
                method, path, lambda *ids: Call(Params(parse_form(form.encode())), Origin(), *ids)
            )
        except StripeError:
            return None

    def step(self) -> None:
        intents = [intent.id for intent in self.sandbox.state.intents] or ["pi_none"]
        intent, amount = self.random.choice(intents), self.random.randint(1, 9_000)
        match self.random.randrange(8):
            case 0 | 1:
                self._pay(amount)
            case 2:
                self.run("POST", f"payment_intents/{intent}/capture")
            case 3:
                self.run("POST", f"payment_intents/{intent}/capture", f"amount_to_capture={amount}")
            case 4:
                self.run("POST", f"payment_intents/{intent}/cancel")
            case 5:
                self.run("POST", "refunds", f"payment_intent={intent}&amount={amount}")
            case 6:
                card = self.random.choice(CARDS)
                self.run("POST", f"payment_intents/{intent}/confirm", f"payment_method={card}")
            case _:
                self._other(intent, amount)

    def _pay(self, amount: int) -> None:
        self.run(
            "POST",
            "payment_intents",
            f"amount={amount}&currency=eur&confirm=true&payment_method_types[]=card"
            f"&payment_method={self.random.choice(CARDS)}"
            f"&capture_method={self.random.choice(('manual', 'manual', 'automatic'))}"
            f"&metadata[campaign_id]=c-{self.random.randrange(2)}&metadata[pledge_id]=p-{self.random.randrange(9)}",
        )

    def _other(self, intent_id: str, amount: int) -> None:
        match self.random.randrange(5):
            case 0:
                self.run("POST", "transfers", f"amount={amount}&currency=eur&destination=acct_1&transfer_group=c-0")
            case 1:
                intent = self.sandbox.state.intents.get(intent_id)
                if intent is not None and intent.status is Status.REQUIRES_ACTION:
                    self.sandbox.payments.authenticate(intent, passed=self.random.random() < 0.5)
            case 2:
                transfers = [transfer.id for transfer in self.sandbox.state.transfers] or ["tr_none"]
                self.run("POST", f"transfers/{self.random.choice(transfers)}/reversals", f"amount={amount}")
            case 3:
                self._dispute(intent_id)
            case _:
                self.sandbox.state.clock.advance(86_400)
                self.sandbox.payments.expire_holds()

    def _dispute(self, intent_id: str) -> None:
        """The bank opens one, or decides about one."""
        disputes = list(self.sandbox.state.disputes)
        with suppress(StripeError):
            if not disputes or self.random.random() < 0.5:
                charge = find_charge(self.sandbox.state, None, intent_id)
                self.sandbox.disputes.open(charge, "fraudulent", inquiry=self.random.random() < 0.2)
            else:
                won, returned = self.random.random() < 0.5, self.random.random() < 0.5
                self.sandbox.disputes.close(self.random.choice(disputes), won=won, fee_returned=returned)


def totals(sandbox: Sandbox) -> dict[str, int]:
    document = sandbox.state.books.document()["totals"]
    assert isinstance(document, dict)
    return {name: line["minor"] for name, line in document.get("eur", {}).items()}


def check_intent(intent: Intent, charge: Charge | None) -> None:
    assert (intent.amount_capturable > 0) == (intent.status is Status.REQUIRES_CAPTURE)
    assert (intent.amount_received > 0) == (intent.status is Status.SUCCEEDED)
    if charge is not None:
        assert charge.amount_captured <= charge.amount
        assert 0 <= charge.refundable <= charge.amount_captured
        assert charge.amount_refunded <= charge.amount
        assert charge.captured == (intent.status is Status.SUCCEEDED)


@pytest.mark.parametrize("seed", range(40))
def test_the_books_are_what_the_records_say(seed: int) -> None:
    sandbox = Sandbox(Settings())
    player, ended = Player(sandbox, Random(seed)), dict[str, Status]()
    for _ in range(STEPS):
        player.step()
        for intent in sandbox.state.intents:
            assert ended.get(intent.id, intent.status) == intent.status, "an end is an end"
            if intent.status in ENDS:
                ended[intent.id] = intent.status
            check_intent(intent, sandbox.state.charges.get(intent.latest_charge or ""))
    books, intents = totals(sandbox), list(sandbox.state.intents)
    assert books["held"] == sum(intent.amount_capturable for intent in intents)
    assert books["captured"] == sum(intent.amount_received for intent in intents)
    assert books["refunded"] == sum(refund.amount for refund in sandbox.state.refunds)
    assert books["transferred"] == sum(transfer.amount for transfer in sandbox.state.transfers)
    assert books["reversed"] == sum(reversal.amount for reversal in sandbox.state.reversals)
    taken_back = books["disputed"] + books["dispute_fees"] - books["reinstated"]
    sent = books["transferred"] - books["reversed"]
    balance = books["captured"] - books["fees"] - books["refunded"] - sent - taken_back
    assert sandbox.state.balance["eur"] == balance == sum(row.net for row in sandbox.state.movements)
    live = [intent.metadata["pledge_id"] for intent in intents if intent.amount_capturable]
    doubled = {pledge for pledge in live if live.count(pledge) > 1}
    assert sandbox.state.books.two_live_holds.keys() == doubled


def test_a_seed_that_matters_reaches_every_kind_of_end() -> None:
    """The random runs above are worth their time only if they get everywhere."""
    sandbox = Sandbox(Settings())
    player = Player(sandbox, Random(2))
    for _ in range(2_000):
        player.step()
    assert all(minor > 0 for minor in totals(sandbox).values()), totals(sandbox)
