-- Decision tables. The checks repeat what the domain decides: the last line against a slot sold twice.

-- One row per campaign, changed by every group that touches one of its pledges. Room on the page keeps those
-- changes out of the indexes.
CREATE TABLE book (
    campaign_id           uuid PRIMARY KEY,
    creator_id            uuid NOT NULL,
    currency              text NOT NULL,
    model                 text NOT NULL,
    strategy              text NOT NULL,
    deadline              timestamptz NOT NULL,
    cutoff_at             timestamptz NOT NULL,
    refund_window_seconds bigint NOT NULL,
    state                 text NOT NULL CHECK (state IN ('open', 'closed', 'announced', 'cancelled')),
    undecided             bigint NOT NULL CHECK (undecided BETWEEN 0 AND live),
    live                  bigint NOT NULL,
    live_minor            bigint NOT NULL CHECK (live_minor >= 0),
    closed_at             timestamptz
) WITH (fillfactor = 50);
-- The timer asks for the next deadline, and for what is left to do after one.
CREATE INDEX book_open ON book (deadline) WHERE state = 'open';
CREATE INDEX book_closed ON book (campaign_id) WHERE state = 'closed';
CREATE INDEX book_cancelled ON book (campaign_id) WHERE state = 'cancelled';

CREATE TABLE tier (
    tier_id       uuid PRIMARY KEY,
    campaign_id   uuid NOT NULL,
    minimum_minor bigint NOT NULL,
    pool_id       uuid
);

CREATE TABLE pool (
    pool_id     uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    slots       bigint NOT NULL,
    claimed     bigint NOT NULL CHECK (claimed BETWEEN 0 AND slots)
) WITH (fillfactor = 50);

CREATE TABLE live_pledge (
    campaign_id uuid NOT NULL,
    backer_id   uuid NOT NULL,
    pledge_id   uuid NOT NULL,
    pool_id     uuid,
    PRIMARY KEY (campaign_id, backer_id)
);

-- Projection `pledges`: each pledge as it is shown, and the buckets of each campaign.
CREATE TABLE pledge_view (
    pledge_id    uuid PRIMARY KEY,
    campaign_id  uuid NOT NULL,
    backer_id    uuid NOT NULL,
    tier_id      uuid,
    amount_minor bigint NOT NULL,
    currency     text NOT NULL,
    country      text NOT NULL,
    status       text NOT NULL,
    reason       text,
    placed_at    timestamptz NOT NULL,
    lease_until  timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,
    version      bigint NOT NULL
);
-- A backer's own, newest first: ids are in the order of time.
CREATE INDEX pledge_view_of_backer ON pledge_view (backer_id, pledge_id);
-- The manifest, and the pledges that go with a cancelled campaign.
CREATE INDEX pledge_view_live ON pledge_view (campaign_id)
    WHERE status IN ('pending', 'action_required', 'authorized', 'at_risk', 'captured', 'capture_failed');
-- The timer asks for leases that have run out.
CREATE INDEX pledge_view_undecided ON pledge_view (lease_until) WHERE status IN ('pending', 'action_required');

CREATE TABLE pledge_buckets (
    campaign_id    uuid PRIMARY KEY,
    waiting        bigint NOT NULL,
    waiting_minor  bigint NOT NULL,
    held           bigint NOT NULL,
    held_minor     bigint NOT NULL,
    captured       bigint NOT NULL,
    captured_minor bigint NOT NULL,
    owing          bigint NOT NULL,
    owing_minor    bigint NOT NULL,
    ended          bigint NOT NULL,
    ended_minor    bigint NOT NULL
) WITH (fillfactor = 50);
