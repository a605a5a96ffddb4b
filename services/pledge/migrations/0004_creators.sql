-- How the campaign ended; what a creator's lists say of a tier (DOMAIN P11).
ALTER TABLE book ADD COLUMN outcome text;
ALTER TABLE tier
    ADD COLUMN title              text NOT NULL DEFAULT '',
    ADD COLUMN estimated_delivery text NOT NULL DEFAULT '';

-- A creator's backers, newest first, for which the index of the manifest only lacks the order.
DROP INDEX pledge_view_live;
CREATE INDEX pledge_view_live ON pledge_view (campaign_id, pledge_id)
    WHERE status IN ('pending', 'action_required', 'authorized', 'at_risk', 'captured', 'capture_failed');
-- What a creator has to deliver, tier by tier. Written only when money is taken.
CREATE INDEX pledge_view_fulfilment ON pledge_view (campaign_id, tier_id, pledge_id) WHERE status = 'captured';
