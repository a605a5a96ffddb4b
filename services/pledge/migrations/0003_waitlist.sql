-- Slots that are kept for backers of the waitlist, and how many wait (DOMAIN P3).
ALTER TABLE pool
    ADD COLUMN offered bigint NOT NULL DEFAULT 0 CHECK (offered >= 0),
    ADD COLUMN waiting bigint NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    ADD COLUMN joined  bigint NOT NULL DEFAULT 0,
    ADD CHECK (claimed + offered <= slots);
-- The timer looks for pools with a list. `claimed` stays out of the index: it changes with every pledge.
CREATE INDEX pool_waited_for ON pool (campaign_id) WHERE waiting > 0;

CREATE TABLE waitlist (
    pool_id       uuid NOT NULL,
    backer_id     uuid NOT NULL,
    campaign_id   uuid NOT NULL,
    tier_id       uuid NOT NULL,
    offer_id      uuid NOT NULL,
    number        bigint NOT NULL,
    joined_at     timestamptz NOT NULL,
    offered_until timestamptz,
    PRIMARY KEY (pool_id, backer_id)
);
CREATE UNIQUE INDEX waitlist_next ON waitlist (pool_id, number) WHERE offered_until IS NULL;
CREATE INDEX waitlist_offered ON waitlist (offered_until) WHERE offered_until IS NOT NULL;
CREATE INDEX waitlist_of_backer ON waitlist (backer_id, joined_at);
