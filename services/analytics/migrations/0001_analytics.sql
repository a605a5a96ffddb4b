-- All of these are projections: `analytics rebuild` makes them again from the events.
-- Where each pledge stands, so that a change moves the sums by its difference.
CREATE TABLE pledge_fact (
    pledge_id   uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    version     bigint NOT NULL,
    tier_id     uuid NOT NULL,
    country     text NOT NULL,
    minor       bigint NOT NULL,
    status      text NOT NULL,
    secured     boolean NOT NULL,
    placed_on   date NOT NULL
);

-- Sums of what the pledges contribute: numbers of pledges, and amounts in minor units of the campaign's currency.
-- Small: campaigns have tens of tiers, countries and days. A pledge without a reward has the tier 0.
CREATE TABLE pledge_sums (
    campaign_id    uuid NOT NULL,
    tier_id        uuid NOT NULL,
    country        text NOT NULL,
    placed_on      date NOT NULL,
    placed         bigint NOT NULL,
    secured        bigint NOT NULL,
    live           bigint NOT NULL,
    claimed        bigint NOT NULL,
    captured       bigint NOT NULL,
    capture_failed bigint NOT NULL,
    declined       bigint NOT NULL,
    cancelled      bigint NOT NULL,
    voided         bigint NOT NULL,
    dropped        bigint NOT NULL,
    refunded       bigint NOT NULL,
    placed_minor   bigint NOT NULL,
    live_minor     bigint NOT NULL,
    captured_minor bigint NOT NULL,
    PRIMARY KEY (campaign_id, tier_id, country, placed_on)
);

-- What a campaign is, filled fact by fact in any order.
CREATE TABLE campaign (
    campaign_id  uuid PRIMARY KEY,
    creator_id   uuid,
    title        text NOT NULL,
    model        text,
    goal_minor   bigint NOT NULL,
    currency     text NOT NULL,
    deadline     timestamptz,
    launched_at  timestamptz,
    closed_at    timestamptz,
    cancelled_at timestamptz,
    outcome      text
);

CREATE TABLE tier (
    tier_id            uuid PRIMARY KEY,
    campaign_id        uuid NOT NULL,
    title              text NOT NULL,
    minimum_minor      bigint NOT NULL,
    estimated_delivery text NOT NULL,
    pool_id            uuid
);
CREATE INDEX tier_of_campaign ON tier (campaign_id);

CREATE TABLE pool (
    pool_id     uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    slots       bigint NOT NULL
);
CREATE INDEX pool_of_campaign ON pool (campaign_id);

CREATE TABLE milestone (
    campaign_id     uuid NOT NULL,
    threshold_minor bigint NOT NULL,
    percent         bigint,
    stretch_goal    text,
    total_minor     bigint NOT NULL,
    backers         bigint NOT NULL,
    crossed_at      timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, threshold_minor)
);
