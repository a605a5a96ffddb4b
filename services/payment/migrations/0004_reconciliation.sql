-- What was said about a case. A comment without an author is the platform's own.
CREATE TABLE payment_case_comment (
    comment_id uuid PRIMARY KEY,
    case_id    uuid NOT NULL REFERENCES payment_case,
    author     uuid,
    at         timestamptz NOT NULL,
    text       text NOT NULL
);
CREATE INDEX payment_case_comment_of_case ON payment_case_comment (case_id, at, comment_id);
CREATE INDEX payment_case_newest ON payment_case (opened_at DESC, case_id DESC);

-- An event that cannot be worked yet waits with growing pauses; `note` says why one is only kept.
ALTER TABLE webhook
    ADD COLUMN note     text NOT NULL DEFAULT '',
    ADD COLUMN attempts bigint NOT NULL DEFAULT 0,
    ADD COLUMN due_at   timestamptz;
UPDATE webhook SET due_at = received_at;
ALTER TABLE webhook ALTER COLUMN due_at SET NOT NULL;
DROP INDEX webhook_waiting;
CREATE INDEX webhook_due ON webhook (due_at) WHERE worked_at IS NULL;
CREATE INDEX webhook_worked ON webhook (received_at) WHERE worked_at IS NOT NULL;

-- What runs on one replica at a time (DOMAIN Y6): when next, whose turn it is, and how far it has come.
CREATE TABLE sweep (
    name        text PRIMARY KEY,
    due_at      timestamptz NOT NULL DEFAULT '1970-01-01Z',
    since       timestamptz,
    upto        timestamptz,
    after       text NOT NULL DEFAULT '',
    lease_token uuid,
    lease_until timestamptz
);
INSERT INTO sweep (name) VALUES ('events'), ('holds'), ('unknown'), ('match');
