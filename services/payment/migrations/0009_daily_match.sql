-- Each day's movements at the provider against the ledger, both ways (DOMAIN Y6).
CREATE TABLE daily_match (
    day         date PRIMARY KEY,
    state       text NOT NULL CHECK (state IN ('running', 'agreed', 'differs')),
    movements   bigint NOT NULL DEFAULT 0,
    postings    bigint NOT NULL DEFAULT 0,
    differences bigint NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE TABLE daily_match_pair (
    posting_id  uuid PRIMARY KEY,
    movement_id text NOT NULL UNIQUE,
    day         date NOT NULL
);
CREATE INDEX daily_match_pair_day ON daily_match_pair (day);
CREATE INDEX posting_booked ON posting USING brin (booked_at);  -- only ever added to, in the order of time
