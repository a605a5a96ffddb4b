"""What the eventing core counts. Labels never carry ids."""

from prometheus_client import Counter, Gauge, Histogram

GROUP_MEMBERS = Histogram(
    "groundswell_group_members",
    "Commands and events per group commit",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
GROUP_SECONDS = Histogram("groundswell_group_seconds", "From taking a group to its commit, reruns included")
GROUP_RERUNS = Counter("groundswell_group_reruns_total", "Groups that were run again", ["fault"])
PARKED = Counter("groundswell_parked_events_total", "Events or bodies that could not be taken in", ["reason"])
RELAY_LAG_SECONDS = Gauge("groundswell_relay_lag_seconds", "Age of the oldest event that is not published yet")
RELAY_PUBLISHED = Counter("groundswell_relay_published_events_total", "Events confirmed by the broker")
RELAY_STOPPED = Gauge("groundswell_relay_stopped", "1 while an unroutable event holds the relay")
