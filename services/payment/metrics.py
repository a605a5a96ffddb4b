"""What the payment service counts beside the core. Labels never carry ids."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from payment.cases import CaseKind


class CaseMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "groundswell_payment_open_cases",
            "Cases that wait for a person; every replica tells the same number",
            ["kind"],
            registry=registry,
        )

    def show(self, found: Mapping[CaseKind, int]) -> None:
        for kind, cases in found.items():
            self._open.labels(kind.value).set(cases)
