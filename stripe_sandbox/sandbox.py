"""The sandbox as one thing: its state, what works on it, and how it starts afresh."""

from stripe_sandbox.api import Api
from stripe_sandbox.faults import Faults
from stripe_sandbox.idempotency import Keys
from stripe_sandbox.payments import Fees, Payments
from stripe_sandbox.resources import Endpoint, Event
from stripe_sandbox.settings import Settings
from stripe_sandbox.state import State
from stripe_sandbox.webhooks import Sender


class Sandbox:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sender = Sender(
            self._wanted,
            concurrency=settings.webhook_concurrency,
            retry_seconds=settings.webhook_retry_seconds,
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything, the clock's offset and the faults included; settings and their endpoint stay."""
        self.faults = Faults()
        self.keys = Keys()
        self.state = State(deliver=self.sender.send)
        self.payments = Payments(self.state, Fees(self.settings.fee_basis_points, self.settings.fee_fixed_minor))
        self.api = Api(self.state, self.payments, self.settings.public_url)
        if self.settings.webhook_url:
            self.state.endpoints.add(self._configured_endpoint())

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

    def _wanted(self, event: Event, endpoint: Endpoint) -> bool:
        known = self.state.events.get(event.id) is event
        return known and self.state.endpoints.get(endpoint.id) is not None
