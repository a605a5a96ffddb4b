"""What the eventing core counts, per service. Labels never carry ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The core's metrics in one registry, so that several services can live in one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.registry = registry
        self.group_members = Histogram(
            "groundswell_group_members",
            "Commands and events per group commit",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=registry,
        )
        self.group_seconds = Histogram(
            "groundswell_group_seconds", "From taking a group to its commit, reruns included", registry=registry
        )
        self.group_reruns = Counter(
            "groundswell_group_reruns", "Groups that were run again", ["fault"], registry=registry
        )
        self.parked = Counter("groundswell_parked_events", "What could not be taken in", ["reason"], registry=registry)
        self.relay_lag_seconds = Gauge(
            "groundswell_relay_lag_seconds", "Age of the oldest event that is not published yet", registry=registry
        )
        self.relay_published = Counter(
            "groundswell_relay_published_events", "Events confirmed by the broker", registry=registry
        )
        self.relay_stopped = Gauge(
            "groundswell_relay_stopped", "1 while an unroutable event holds the relay", registry=registry
        )
