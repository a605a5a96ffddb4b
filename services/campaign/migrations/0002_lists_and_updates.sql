-- What a list by how far campaigns have come needs, beside the total that moves: the status once it is launched,
-- and the share of the goal in whole percent. A pledge changes the percent seldom, so the hot row's changes mostly
-- stay out of the indexes as before. `updates` counts what the creator has posted.
ALTER TABLE campaign_total
    ADD COLUMN goal_minor bigint,
    ADD COLUMN percent bigint NOT NULL DEFAULT 0,
    ADD COLUMN listed text,
    ADD COLUMN updates bigint NOT NULL DEFAULT 0;
UPDATE campaign_total total
SET goal_minor = given.goal_minor, percent = total.pledged_minor * 100 / given.goal_minor, listed = given.status
FROM (
    SELECT campaign_id, status, (document::jsonb #>> '{campaign,terms,goal,amount}')::bigint AS goal_minor
    FROM campaign_page
    WHERE launched_at IS NOT NULL
) AS given
WHERE total.campaign_id = given.campaign_id;
CREATE INDEX campaign_total_by_percent ON campaign_total (percent, campaign_id) WHERE listed IS NOT NULL;
CREATE INDEX campaign_total_by_status_and_percent ON campaign_total (listed, percent, campaign_id)
    WHERE listed IS NOT NULL;

-- Lists by launch (drafts, which only their creators see, first) and by deadline; search by words. `simple` knows no
-- language: campaigns are written in all of them, and a word is found as it is written.
ALTER TABLE campaign_page
    ADD COLUMN since timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(launched_at, '9999-01-01 00:00+00')) STORED,
    ADD COLUMN words tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('simple', coalesce(document::jsonb #>> '{campaign,terms,title}', '') || ' '
            || coalesce(document::jsonb #>> '{campaign,terms,story}', ''))
    ) STORED;
DROP INDEX campaign_page_by_creator, campaign_page_by_status, campaign_page_open;
CREATE INDEX campaign_page_by_age ON campaign_page (since, campaign_id);
CREATE INDEX campaign_page_by_creator ON campaign_page (creator_id, since, campaign_id);
CREATE INDEX campaign_page_by_status ON campaign_page (status, since, campaign_id);
CREATE INDEX campaign_page_by_deadline ON campaign_page (status, deadline, campaign_id);
CREATE INDEX campaign_page_words ON campaign_page USING gin (words);

-- Who backs a tier may read what is posted for that tier (DOMAIN C9).
ALTER TABLE contribution ADD COLUMN backer_id uuid;
UPDATE contribution
SET backer_id = (
    SELECT (data ->> 'backer_id')::uuid
    FROM event
    WHERE source = 'pledge' AND stream_id = contribution.pledge_id
    ORDER BY version
    LIMIT 1
);
ALTER TABLE contribution ALTER COLUMN backer_id SET NOT NULL;
CREATE INDEX contribution_of_backer ON contribution (backer_id, campaign_id);

-- Projection `updates`: what creators have posted.
CREATE TABLE campaign_update (
    update_id   uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    number      bigint NOT NULL,
    kind        text NOT NULL,
    tier_id     uuid,
    title       text NOT NULL,
    text        text NOT NULL,
    posted_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX campaign_update_by_number ON campaign_update (campaign_id, number);
