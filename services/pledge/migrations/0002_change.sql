-- While a change to a tier of another pool is undecided, the pledge has a slot of both (DOMAIN P6).
ALTER TABLE live_pledge ADD COLUMN change_pool_id uuid;

-- The change of a pledge that is undecided, or the last one if it was dropped.
ALTER TABLE pledge_view
    ADD COLUMN change_id           uuid,
    ADD COLUMN change_amount_minor bigint,
    ADD COLUMN change_tier_id      uuid,
    ADD COLUMN change_until        timestamptz,
    ADD COLUMN change_reason       text;
-- The timer asks for leases of changes that have run out.
CREATE INDEX pledge_view_changing ON pledge_view (change_until) WHERE change_until IS NOT NULL;
