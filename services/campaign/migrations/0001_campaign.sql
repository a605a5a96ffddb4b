-- What each pledge adds to its campaign, by the newest fact known about it.
CREATE TABLE contribution (
    pledge_id     uuid PRIMARY KEY,
    campaign_id   uuid NOT NULL,
    tier_id       uuid,
    counted_minor bigint NOT NULL CHECK (counted_minor >= 0),
    slots         bigint NOT NULL CHECK (slots IN (0, 1)),
    version       bigint NOT NULL
);

-- Hot: one row per campaign, changed by every group that moves its total. Room on the page keeps those changes
-- out of the index.
CREATE TABLE campaign_total (
    campaign_id          uuid PRIMARY KEY,
    version              bigint NOT NULL,
    pledged_minor        bigint NOT NULL CHECK (pledged_minor >= 0),
    backers              bigint NOT NULL CHECK (backers >= 0),
    next_threshold_minor bigint
) WITH (fillfactor = 50);

CREATE TABLE tier_claim (
    campaign_id uuid NOT NULL,
    tier_id     uuid NOT NULL,
    slots       bigint NOT NULL CHECK (slots >= 0),
    PRIMARY KEY (campaign_id, tier_id)
) WITH (fillfactor = 50);

-- Projection `pages`: what the page shows of the campaign's own stream.
CREATE TABLE campaign_page (
    campaign_id uuid PRIMARY KEY,
    creator_id  uuid NOT NULL,
    status      text NOT NULL,
    launched_at timestamptz,
    deadline    timestamptz NOT NULL,
    version     bigint NOT NULL,
    document    text NOT NULL
);
-- The timer asks for the next deadline.
CREATE INDEX campaign_page_open ON campaign_page (deadline) WHERE status = 'active';
-- Lists, newest first: ids are in the order of time.
CREATE INDEX campaign_page_by_creator ON campaign_page (creator_id, campaign_id);
CREATE INDEX campaign_page_by_status ON campaign_page (status, campaign_id);
