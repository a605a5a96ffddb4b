-- What a person has to look at (DOMAIN Y6).
CREATE TABLE payment_case (
    case_id      uuid PRIMARY KEY,
    kind         text NOT NULL,
    about        text NOT NULL,
    summary      text NOT NULL,
    opened_at    timestamptz NOT NULL,
    state        text NOT NULL CHECK (state IN ('open', 'resolved')),
    campaign_id  uuid,
    pledge_id    uuid,
    operation_id uuid,
    resolved_at  timestamptz,
    resolved_by  uuid,
    UNIQUE (kind, about),
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);
CREATE INDEX payment_case_open ON payment_case (opened_at) WHERE state = 'open';
