-- One row per campaign: its facts in any order, the sums of the own copy of its book, and how far its settlement is.
-- Sums are in minor units of `currency`. Every decision of the settlement is made with this row locked.
CREATE TABLE campaign (
    campaign_id            uuid PRIMARY KEY,
    creator_id             uuid,
    model                  text,
    goal_minor             bigint NOT NULL,
    currency               text NOT NULL,
    lowest_collectable_bps bigint NOT NULL,
    fix_payment_seconds    bigint NOT NULL,
    platform_fee_bps       bigint NOT NULL,
    closed_at              timestamptz,
    cancelled_at           timestamptz,
    manifest_at            timestamptz,
    manifest_count         bigint NOT NULL,
    manifest_minor         bigint NOT NULL,
    manifest_digest        text NOT NULL,
    book_changes           bigint NOT NULL,
    checked_changes        bigint,
    direction              text,
    started_at             timestamptz,
    to_do_count            bigint NOT NULL,
    answered_at            timestamptz,
    outcome                text,
    settled_at             timestamptz,
    open_count             bigint NOT NULL CHECK (open_count >= 0),
    open_minor             bigint NOT NULL,
    outstanding_count      bigint NOT NULL CHECK (outstanding_count >= 0),
    outstanding_minor      bigint NOT NULL,
    failed_count           bigint NOT NULL CHECK (failed_count >= 0),
    failed_minor           bigint NOT NULL,
    dropping_count         bigint NOT NULL CHECK (dropping_count >= 0),
    dropping_minor         bigint NOT NULL,
    captured_count         bigint NOT NULL CHECK (captured_count >= 0),
    captured_minor         bigint NOT NULL,
    voided_count           bigint NOT NULL CHECK (voided_count >= 0),
    voided_minor           bigint NOT NULL,
    dropped_count          bigint NOT NULL CHECK (dropped_count >= 0),
    dropped_minor          bigint NOT NULL,
    left_count             bigint NOT NULL CHECK (left_count >= 0),
    left_minor             bigint NOT NULL
);

-- What the timer looks through a few times a second: settlements that may start, and those that are under way.
CREATE INDEX campaign_unsettled ON campaign (campaign_id) WHERE outcome IS NULL AND closed_at IS NOT NULL;

-- The own copy of the book, and what was asked for about each pledge.
CREATE TABLE booked_pledge (
    pledge_id      uuid PRIMARY KEY,
    campaign_id    uuid NOT NULL,
    version        bigint NOT NULL,
    status         text NOT NULL,
    minor          bigint NOT NULL,
    currency       text NOT NULL,
    tier_id        uuid,
    capture_before timestamptz,
    failed_at      timestamptz,
    left_at        timestamptz,
    requested      boolean NOT NULL,
    drop_requested boolean NOT NULL
);
CREATE INDEX booked_pledge_of_campaign ON booked_pledge (campaign_id);

-- The next to be asked for: what lapses first comes first.
CREATE INDEX booked_pledge_open ON booked_pledge (campaign_id, capture_before, pledge_id)
    WHERE status = 'authorized' AND NOT requested;

-- The failed captures whose window to be mended runs.
CREATE INDEX booked_pledge_failed ON booked_pledge (campaign_id, failed_at)
    WHERE status = 'capture_failed' AND NOT drop_requested;
