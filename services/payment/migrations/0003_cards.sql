-- Who pays for a pledge, and the provider's customer whose list of payments is proof (DOMAIN Y2).
CREATE TABLE payer (
    pledge_id   uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    backer_id   uuid,
    customer_id text
);

-- When the current hold of a pledge is to be replaced, or looked at (DOMAIN Y3, Y4).
CREATE TABLE renewal (
    pledge_id      uuid PRIMARY KEY,
    hold_id        text NOT NULL,
    due_at         timestamptz NOT NULL,
    capture_before timestamptz,
    failures       bigint NOT NULL
);
CREATE INDEX renewal_due ON renewal (due_at);

ALTER TABLE operation
    DROP CONSTRAINT operation_kind_check,
    ADD CONSTRAINT operation_kind_check CHECK (kind IN (
        'authorize', 'charge', 'save', 'capture', 'void', 'refund', 'follow', 'payout'
    )),
    ADD COLUMN customer    text,
    ADD COLUMN off_session boolean NOT NULL DEFAULT false,
    ADD COLUMN extended    boolean NOT NULL DEFAULT false,
    ADD COLUMN purpose     text NOT NULL DEFAULT '';
