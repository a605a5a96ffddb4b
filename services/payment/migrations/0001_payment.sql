-- Whose campaign it is and what was agreed at its launch.
CREATE TABLE campaign (
    campaign_id      uuid PRIMARY KEY,
    creator_id       uuid NOT NULL,
    platform_fee_bps bigint NOT NULL
);

-- Payouts that settlement asked for; `doubt` says why one waits.
CREATE TABLE payout (
    campaign_id      uuid PRIMARY KEY,
    creator_id       uuid NOT NULL,
    captured         bigint NOT NULL CHECK (captured >= 0),
    currency         text NOT NULL,
    platform_fee_bps bigint NOT NULL,
    state            text NOT NULL CHECK (state IN ('waiting', 'started')),
    doubt            text NOT NULL,
    due_at           timestamptz NOT NULL
);
CREATE INDEX payout_due ON payout (due_at) WHERE state = 'waiting';

-- What was asked of the provider, or is to be (DOMAIN Y1, Y2).
CREATE TABLE operation (
    operation_id  uuid PRIMARY KEY,
    subject_id    uuid NOT NULL,
    campaign_id   uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('authorize', 'charge', 'capture', 'void', 'refund', 'payout')),
    attempt       bigint NOT NULL CHECK (attempt > 0),
    amount        bigint NOT NULL CHECK (amount > 0),
    currency      text NOT NULL,
    counterpart   text NOT NULL,
    reference     text,
    state         text NOT NULL CHECK (state IN ('waiting', 'leased', 'done', 'skipped', 'stopped')),
    outcome       text NOT NULL,
    sends         bigint NOT NULL,
    due_at        timestamptz NOT NULL,
    first_sent_at timestamptz,
    lease_token   uuid,
    lease_until   timestamptz,
    created_at    timestamptz NOT NULL,
    decided_at    timestamptz,
    CHECK ((state = 'leased') = (lease_token IS NOT NULL)),
    CHECK ((state IN ('waiting', 'leased')) = (decided_at IS NULL)),
    UNIQUE (subject_id, kind, attempt),
    -- Nothing takes money while another operation of that pledge is undecided. Deferred: one transaction ends the
    -- one and starts the next.
    EXCLUDE USING btree (subject_id WITH =) WHERE (state IN ('waiting', 'leased')) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX operation_due ON operation ((kind IN ('authorize', 'charge')) DESC, due_at) WHERE state = 'waiting';
CREATE INDEX operation_leased ON operation (lease_until) WHERE state = 'leased';
CREATE INDEX operation_reference ON operation (reference) WHERE reference IS NOT NULL;

-- Events that the provider told us of, each once (DOMAIN Y5).
CREATE TABLE webhook (
    event_id    text PRIMARY KEY,
    type        text NOT NULL,
    object_id   text NOT NULL,
    created_at  timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    worked_at   timestamptz
);
CREATE INDEX webhook_waiting ON webhook (received_at) WHERE worked_at IS NULL;

-- The ledger (DOMAIN M3). The chart of accounts: services/payment/ledger.py.
CREATE TABLE posting (
    posting_id  uuid PRIMARY KEY,
    campaign_id uuid NOT NULL,
    pledge_id   uuid,
    event       text NOT NULL,
    booked_at   timestamptz NOT NULL
);

CREATE TABLE entry (
    posting_id  uuid NOT NULL REFERENCES posting,
    line        bigint NOT NULL,
    campaign_id uuid NOT NULL,
    account     text NOT NULL CHECK (account IN (
        'holds', 'hold_promises', 'provider_receivable', 'campaign_payable',
        'provider_fees', 'platform_fees', 'refunds', 'payouts'
    )),
    amount      bigint NOT NULL CHECK (amount <> 0),
    currency    text NOT NULL,
    PRIMARY KEY (posting_id, line)
);
CREATE INDEX entry_by_account ON entry (campaign_id, currency, account) INCLUDE (amount);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is never changed: % of %', TG_OP, TG_TABLE_NAME USING ERRCODE = 'GL001';
END
$$;
CREATE TRIGGER posting_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entry_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- At the commit: every posting touched has entries, and they sum to zero per currency.
CREATE FUNCTION check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT string_agg(format('%s %s', total, currency), ', ')
      INTO wrong
      FROM (SELECT currency, sum(amount) AS total
              FROM entry
             WHERE posting_id = NEW.posting_id
             GROUP BY currency) AS sums
     WHERE total <> 0;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'posting % is off by %', NEW.posting_id, wrong USING ERRCODE = 'GL002';
    END IF;
    IF NOT EXISTS (SELECT FROM entry WHERE posting_id = NEW.posting_id) THEN
        RAISE EXCEPTION 'posting % has no entries', NEW.posting_id USING ERRCODE = 'GL002';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER posting_balances AFTER INSERT ON posting DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_balanced();
CREATE CONSTRAINT TRIGGER entry_balances AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_balanced();
