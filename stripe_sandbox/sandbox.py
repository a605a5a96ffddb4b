"""The sandbox as one thing: its state, what works on it, and how it starts afresh."""

from stripe_sandbox.api import Api, customer_routes, event_routes, money_routes, payment_routes
from stripe_sandbox.balance import Balance, Fees
from stripe_sandbox.clock import Clock
from stripe_sandbox.crossing import Crossing
from stripe_sandbox.customers_api import CustomersApi
from stripe_sandbox.disputes import Disputes
from stripe_sandbox.events import Event
from stripe_sandbox.events_api import EventsApi
from stripe_sandbox.faults import Faults
from stripe_sandbox.idempotency import Keys
from stripe_sandbox.intents_api import IntentsApi
from stripe_sandbox.limits import Limiter, Limits
from stripe_sandbox.methods import Methods
from stripe_sandbox.money_api import MoneyApi
from stripe_sandbox.payments import Payments
from stripe_sandbox.resources import Endpoint
from stripe_sandbox.settings import Settings
from stripe_sandbox.setups import Setups
from stripe_sandbox.setups_api import SetupsApi
from stripe_sandbox.state import State
from stripe_sandbox.webhooks import Sender


class Sandbox:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sender = Sender(
            self._wanted,
            concurrency=settings.webhook_concurrency,
            retry_seconds=settings.webhook_retry_seconds,
            ended=self._ended,
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything, also the clock's offset, faults and changed limits; settings and their endpoint stay."""
        self.faults = Faults()
        self.keys = Keys()
        self.limiter = Limiter(Limits(overall=self.settings.rate_limit, per_endpoint=self.settings.endpoint_rate_limit))
        clock = Clock()
        self.crossing = Crossing(self.sender.send, self.faults, clock)
        self.state = State(clock, deliver=self.crossing.deliver)
        self.methods = Methods(self.state)
        self.balance = Balance(self.state, _fees(self.settings))
        self.disputes = Disputes(self.state, self.balance)
        self.payments = Payments(self.state, self.methods, self.balance, self.disputes)
        self.setups = Setups(self.state, self.methods)
        self.api = self._api()
        if self.settings.webhook_url:
            self.state.endpoints.add(self._configured_endpoint())

    def tick(self) -> int:
        """Do what is due by the clock; how many holds lapsed. Costs nothing when nothing is due."""
        self.crossing.release()
        return self.payments.expire_holds()

    @property
    def webhooks_outstanding(self) -> int:
        """Deliveries that wait, are under way or are held back."""
        return self.sender.outstanding + len(self.crossing)

    def _api(self) -> Api:
        state, methods, public_url = self.state, self.methods, self.settings.public_url
        routes = {
            **customer_routes(state, CustomersApi(state, methods)),
            **payment_routes(
                state,
                IntentsApi(state, self.payments, methods, public_url),
                SetupsApi(state, self.setups, methods, public_url),
            ),
            **money_routes(state, MoneyApi(state, self.balance, self.disputes)),
            **event_routes(state, EventsApi(state)),
        }
        return Api(state, routes)

    def _configured_endpoint(self) -> Endpoint:
        return Endpoint(
            id=self.state.ids.new("we"),
            created=self.state.clock.now(),
            url=self.settings.webhook_url,
            secret=self.settings.webhook_secret,
            enabled_events=tuple(self.settings.webhook_events.split(",")),
            metadata={},
            description="From the environment",
        )

    def _ended(self, event: Event, endpoint: Endpoint) -> None:
        self.crossing.ended(event, endpoint)  # that of after the last reset

    def _wanted(self, event: Event, endpoint: Endpoint) -> bool:
        known = self.state.events.get(event.id) is event
        return known and self.state.endpoints.get(endpoint.id) is not None


def _fees(settings: Settings) -> Fees:
    return Fees(settings.fee_basis_points, settings.fee_fixed_minor, settings.dispute_fee_minor)
