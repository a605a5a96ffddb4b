-- The contact book: the one place of the platform that knows who a person is.
CREATE TABLE contact (
    person_id  uuid PRIMARY KEY,
    email      text NOT NULL,
    name       text NOT NULL,
    locale     text NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX contact_by_change ON contact (changed_at);

-- What mails say of campaigns and tiers. A campaign's row may be there before its launch has come in.
CREATE TABLE campaign (
    campaign_id uuid PRIMARY KEY,
    title       text,
    model       text,
    deadline    timestamptz,
    outcome     text
);
CREATE TABLE tier (
    tier_id            uuid PRIMARY KEY,
    title              text NOT NULL,
    estimated_delivery text NOT NULL
);

-- Who backs what, by the newest fact about each pledge.
CREATE TABLE backing (
    pledge_id    uuid PRIMARY KEY,
    campaign_id  uuid NOT NULL,
    backer_id    uuid NOT NULL,
    tier_id      uuid,
    amount_minor bigint NOT NULL,
    currency     text NOT NULL,
    standing     text NOT NULL,
    version      bigint NOT NULL
);
CREATE INDEX backing_by_backer ON backing (campaign_id, backer_id);

-- A notice to all backers of a campaign, made into one notice each, a batch at a time in the order of backers.
CREATE TABLE fan_out (
    kind         text NOT NULL,
    about_id     uuid NOT NULL,
    campaign_id  uuid NOT NULL,
    facts        text NOT NULL,
    created_at   timestamptz NOT NULL,
    after_backer uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    batches      bigint NOT NULL DEFAULT 0,
    done         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (kind, about_id)
);
CREATE INDEX fan_out_open ON fan_out (batches, created_at) WHERE NOT done;

-- What a person is told, once. `due_at`: when the notice is looked at next; for a leased one, when the lease ends.
CREATE TABLE notice (
    kind        text NOT NULL,
    person_id   uuid NOT NULL,
    about_id    uuid NOT NULL,
    campaign_id uuid NOT NULL,
    pledge_id   uuid,
    facts       text NOT NULL,
    urgent      boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    status      text NOT NULL DEFAULT 'waiting',
    attempts    bigint NOT NULL DEFAULT 0,
    lease       uuid,
    reason      text NOT NULL DEFAULT '',
    ended_at    timestamptz,
    PRIMARY KEY (kind, person_id, about_id)
);
CREATE INDEX notice_due ON notice (urgent, due_at) WHERE status = 'waiting';
CREATE INDEX notice_contactless ON notice (person_id) WHERE status = 'contactless';
CREATE INDEX notice_contactless_due ON notice (due_at) WHERE status = 'contactless';
