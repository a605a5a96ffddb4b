-- Disputes of backers' banks (DOMAIN Y9). `fee` is what the provider keeps of its fee by now.
CREATE TABLE dispute (
    dispute_id  text PRIMARY KEY,
    campaign_id uuid NOT NULL,
    pledge_id   uuid NOT NULL,
    amount      bigint NOT NULL CHECK (amount > 0),
    fee         bigint NOT NULL CHECK (fee >= 0),
    currency    text NOT NULL,
    reason      text NOT NULL,
    state       text NOT NULL CHECK (state IN ('open', 'won', 'lost')),
    opened_at   timestamptz NOT NULL,
    closed_at   timestamptz,
    CHECK ((state = 'open') = (closed_at IS NULL))
);
CREATE INDEX dispute_by_campaign ON dispute (campaign_id, opened_at DESC, dispute_id DESC);
