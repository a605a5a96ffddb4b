"""The sandbox's page for people: what it shows of money, time and trouble, and that it shows nothing as markup."""

import re

from stripe_sandbox.domain_disputes import REASONS
from stripe_sandbox.events import Origin
from stripe_sandbox.faults import Fault, Kind, Randomly, WebhookFault, WebhookKind
from stripe_sandbox.forms import Params, parse_form
from stripe_sandbox.limits import Limiter, Limits
from stripe_sandbox.money_api import find_charge
from stripe_sandbox.page import page
from stripe_sandbox.reading import Call
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.settings import Settings


def pay(sandbox: Sandbox, card: str = "pm_card_visa", currency: str = "eur", **metadata: str) -> str:
    """The id of a payment of 5 000 minor units, taken at once."""
    named = "".join(f"&metadata[{name}]={value}" for name, value in metadata.items())
    form = f"amount=5000&currency={currency}&confirm=true&payment_method={card}&payment_method_types[]=card{named}"
    made = sandbox.api.run(
        "POST", "payment_intents", lambda *ids: Call(Params(parse_form(form.encode())), Origin(), *ids)
    )
    return str(made["id"])


def words(sandbox: Sandbox) -> str:
    """What a person reads: the page without its tags."""
    text = re.sub(r"<style>.*?</style>", "", page(sandbox), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_an_empty_one_says_so() -> None:
    shown = words(Sandbox(Settings()))
    for empty in ("No money has moved", "No payment has been asked for", "disputed", "paid out", "None is planned"):
        assert empty in shown
    assert "Faults so far: none." in shown
    assert "Rate limits: none." in shown


def test_amounts_are_in_the_places_of_their_currency() -> None:
    sandbox = Sandbox(Settings())
    for currency in ("eur", "jpy", "kwd"):
        pay(sandbox, currency=currency, campaign_id="c-1")
    shown = words(sandbox)
    for amount in ("50.00 EUR", "5,000 JPY", "5.000 KWD", "49.00 EUR", "4,900 JPY", "4.900 KWD"):
        assert amount in shown


def test_shows_what_waits_what_is_disputed_and_what_is_wrong() -> None:
    sandbox = Sandbox(Settings())
    waiting = pay(sandbox, "pm_card_authenticationRequired", pledge_id="p-1")
    twice = [pay(sandbox, pledge_id="p-2") for _ in range(2)]
    sandbox.disputes.open(find_charge(sandbox.state, None, twice[0]), REASONS[0])
    shown = page(sandbox)
    assert f"href='/sandbox/authenticate/{waiting}'" in shown
    assert "bank cannot process" in shown
    assert "<li class=alarm><b>1</b>charged twice</li>" in shown
    assert "<li><b>0</b>two live holds</li>" in shown


def test_shows_faults_and_limits() -> None:
    sandbox = Sandbox(Settings())
    sandbox.faults.add(Fault(kind=Kind.DROP, count=3))
    sandbox.faults.add(WebhookFault(kind=WebhookKind.LOSE, type="charge.*"))
    sandbox.faults.at_random(Randomly(seed=7, rate=0.1, webhook_rate=0.2))
    sandbox.faults.take("GET", "/v1/balance", None)
    sandbox.limiter = Limiter(Limits(overall=100, endpoints={"GET /v1/balance": 5}))
    shown = words(sandbox)
    assert "drop, 2 times" in shown
    assert "lose, 1 times charge.*" in shown
    assert "seed 7 10%, webhooks 20%" in shown
    assert "Faults so far: drop 1." in shown
    assert "all together 100/s, GET /v1/balance 5/s" in shown


def test_what_callers_send_is_never_markup() -> None:
    sandbox = Sandbox(Settings())
    pay(sandbox, campaign_id="<script>1</script>", pledge_id="<img src=x>")
    shown = page(sandbox)
    assert "<script>" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert "&lt;img" in shown
