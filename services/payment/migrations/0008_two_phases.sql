-- Holds in two phases (DOMAIN M3): a pending posting, which one post or one void resolves, once.
-- What was booked before is brought to the form in which services/payment/ledger.py books the same facts today:
-- same accounts, amounts and times, so that every balance at every moment stays what it was.
ALTER TABLE posting DISABLE TRIGGER posting_stays;
ALTER TABLE entry DISABLE TRIGGER entry_stays;
DROP TRIGGER posting_balances ON posting;
DROP TRIGGER entry_balances ON entry;
DROP FUNCTION check_balanced();

ALTER TABLE entry
    DROP CONSTRAINT entry_posting_id_fkey,
    DROP CONSTRAINT entry_account_check,
    ADD COLUMN booked_at timestamptz;
ALTER TABLE posting
    ADD COLUMN phase text NOT NULL DEFAULT 'plain',
    ADD COLUMN pending_id uuid,
    ADD COLUMN reference text NOT NULL DEFAULT '',
    ADD COLUMN xid xid8 NOT NULL DEFAULT '0';

-- The fact of each posting: of its kind in its stream, recorded in the same transaction.
CREATE TABLE rebooked AS
SELECT posting.posting_id AS old_id,
       posting.event,
       event.stream_id,
       event.version,
       CASE posting.event
           WHEN 'payment.PayoutSent.v1' THEN
               coalesce(nullif(data->>'transfer_id', ''), concat(posting.campaign_id, ':', data->>'number'))
           WHEN 'payment.ReserveReleased.v1' THEN posting.campaign_id::text
           WHEN 'payment.DebtRecovered.v1' THEN concat(posting.campaign_id, ':', data->>'number')
           ELSE coalesce(nullif(data->>'refund_id', ''), data->>'dispute_id', data->>'hold_id')
       END AS reference,
       NULL::uuid AS new_id,
       NULL::uuid AS pending_id,
       'plain' AS phase
  FROM posting
  JOIN event
    ON event.source = 'payment'
   AND event.stream_id = coalesce(posting.pledge_id, posting.campaign_id)
   AND event.type = posting.event
   AND (event.meta->>'time')::timestamptz = posting.booked_at;

DO $$
DECLARE
    strange uuid;
BEGIN
    SELECT posting_id
      INTO strange
      FROM posting
     WHERE (SELECT count(*) FROM rebooked WHERE old_id = posting_id) <> 1
     LIMIT 1;
    IF strange IS NOT NULL THEN
        RAISE EXCEPTION 'posting % has no fact of its own', strange USING ERRCODE = 'GL003';
    END IF;
END
$$;

UPDATE rebooked
   SET new_id = encode(substring(sha256(convert_to(event || ':' || reference, 'UTF8')) FOR 16), 'hex')::uuid,
       phase = CASE
           WHEN event IN (
               'payment.PaymentAuthorized.v1', 'payment.PaymentChangeAuthorized.v1', 'payment.PaymentHoldRenewed.v1'
           ) THEN 'pending'
           WHEN event = 'payment.PaymentCaptured.v1' THEN 'post'
           WHEN event IN ('payment.PaymentVoided.v1', 'payment.PaymentCaptureFailed.v1') THEN 'void'
           ELSE 'plain'
       END;
UPDATE rebooked
   SET pending_id = held.new_id
  FROM rebooked AS held
 WHERE rebooked.phase IN ('post', 'void')
   AND held.phase = 'pending'
   AND held.stream_id = rebooked.stream_id
   AND held.reference = rebooked.reference;

UPDATE posting
   SET posting_id = new_id, phase = rebooked.phase, pending_id = rebooked.pending_id, reference = rebooked.reference
  FROM rebooked
 WHERE posting_id = old_id;
UPDATE entry
   SET posting_id = new_id, booked_at = posting.booked_at
  FROM rebooked
  JOIN posting ON posting.posting_id = new_id
 WHERE entry.posting_id = old_id;
DROP TABLE rebooked;

-- A charge was one posting with its hold in the first two lines; they become the hold's own.
INSERT INTO posting (posting_id, campaign_id, pledge_id, event, booked_at, phase, reference)
SELECT encode(substring(sha256(convert_to('hold:' || event || ':' || reference, 'UTF8')) FOR 16), 'hex')::uuid,
       campaign_id, pledge_id, event, booked_at, 'pending', reference
  FROM posting
 WHERE phase = 'post' AND pending_id IS NULL;
UPDATE posting
   SET pending_id = hold.posting_id
  FROM posting AS hold
 WHERE posting.phase = 'post'
   AND posting.pending_id IS NULL
   AND hold.phase = 'pending'
   AND hold.event = posting.event
   AND hold.reference = posting.reference;
UPDATE entry
   SET posting_id = hold.posting_id
  FROM posting
  JOIN posting AS hold ON hold.posting_id = posting.pending_id
 WHERE entry.posting_id = posting.posting_id AND hold.event = posting.event AND entry.line <= 2;
UPDATE entry
   SET line = line - 2
  FROM posting
  JOIN posting AS hold ON hold.posting_id = posting.pending_id
 WHERE entry.posting_id = posting.posting_id AND hold.event = posting.event;

ALTER TABLE posting
    ALTER COLUMN phase DROP DEFAULT,
    ALTER COLUMN reference DROP DEFAULT,
    ALTER COLUMN xid SET DEFAULT pg_current_xact_id(),
    ADD CHECK (phase IN ('plain', 'pending', 'post', 'void')),
    ADD CHECK ((phase IN ('post', 'void')) = (pending_id IS NOT NULL)),
    ADD FOREIGN KEY (pending_id) REFERENCES posting;
CREATE UNIQUE INDEX posting_resolves_once ON posting (pending_id) WHERE pending_id IS NOT NULL;
CREATE INDEX posting_by_campaign ON posting (campaign_id, booked_at, posting_id);

ALTER TABLE entry
    ALTER COLUMN booked_at SET NOT NULL,
    ADD FOREIGN KEY (posting_id) REFERENCES posting,
    ADD CONSTRAINT entry_account_check CHECK (account IN (
        'holds', 'hold_promises', 'provider_receivable', 'campaign_payable', 'provider_fees', 'platform_fees',
        'refunds', 'disputes', 'reserve', 'payouts', 'creator_debts'
    ));
DROP INDEX entry_by_account;
CREATE INDEX entry_by_account ON entry (campaign_id, currency, account) INCLUDE (amount, booked_at);

-- Entries come with their posting, in its transaction. So each posting is checked once, when all of it is there.
CREATE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old uuid;
BEGIN
    SELECT posting_id
      INTO old
      FROM added
      JOIN posting USING (posting_id)
     WHERE posting.xid <> pg_current_xact_id()
     LIMIT 1;
    IF old IS NOT NULL THEN
        RAISE EXCEPTION 'posting % is complete: nothing is added to it', old USING ERRCODE = 'GL001';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER entry_comes_with_posting AFTER INSERT ON entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION check_entries();

-- At the commit: a posting has entries in one currency that sum to zero, and moves `holds` as its phase may: a pending
-- one is a hold and nothing else, a post or void ends the whole of its pending one, no other posting touches a hold.
CREATE FUNCTION check_posting() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    booked           record;
    pending_phase    text;
    pending_campaign uuid;
    pending_currency text;
    pending_held     bigint;
    wrong            text;
BEGIN
    SELECT count(*) AS lines,
           sum(amount) AS total,
           count(DISTINCT currency) AS currencies,
           min(currency) AS currency,
           bool_and(booked_at = NEW.booked_at) AS same_time,
           bool_and(campaign_id = NEW.campaign_id) AS same_campaign,
           coalesce(sum(amount) FILTER (WHERE account = 'holds'), 0) AS held,
           coalesce(sum(amount) FILTER (WHERE account = 'hold_promises'), 0) AS promised,
           coalesce(-sum(amount) FILTER (WHERE account = 'campaign_payable'), 0) AS taken,
           count(*) FILTER (WHERE account NOT IN ('holds', 'hold_promises')) AS others
      INTO booked
      FROM entry
     WHERE posting_id = NEW.posting_id;
    IF NEW.pending_id IS NOT NULL THEN
        SELECT phase, posting.campaign_id, min(currency) AS currency, sum(amount) AS held
          INTO pending_phase, pending_campaign, pending_currency, pending_held
          FROM posting
          JOIN entry USING (posting_id)
         WHERE posting_id = NEW.pending_id AND account = 'holds'
         GROUP BY phase, posting.campaign_id;
    END IF;
    wrong := CASE
        WHEN booked.lines = 0 THEN 'has no entries'
        WHEN booked.currencies > 1 THEN format('is in %s currencies', booked.currencies)
        WHEN booked.total <> 0 THEN format('is off by %s %s', booked.total, booked.currency)
        WHEN NOT booked.same_time THEN 'has entries of another time'
        WHEN booked.held + booked.promised <> 0 THEN 'promises another amount than it holds'
        WHEN NEW.phase = 'plain' AND booked.held <> 0 THEN 'moves a hold, and is neither pending nor resolves one'
        WHEN NEW.phase = 'plain' THEN NULL
        WHEN NOT booked.same_campaign THEN 'has entries of another campaign'
        WHEN NEW.phase = 'pending' AND (booked.held <= 0 OR booked.others > 0) THEN 'is pending, and no hold'
        WHEN NEW.phase = 'pending' THEN NULL
        WHEN pending_phase IS DISTINCT FROM 'pending' THEN format('resolves %s, which is not pending', NEW.pending_id)
        WHEN pending_campaign <> NEW.campaign_id THEN 'resolves a hold of another campaign'
        WHEN pending_currency <> booked.currency THEN 'resolves a hold in another currency'
        WHEN booked.held <> -pending_held THEN format('ends %s of %s held', -booked.held, pending_held)
        WHEN NEW.phase = 'void' AND booked.others > 0 THEN 'is a void, and moves money'
        WHEN NEW.phase = 'post' AND booked.taken > pending_held THEN
            format('posts %s of %s held', booked.taken, pending_held)
        WHEN NEW.phase = 'post' AND booked.taken <= 0 THEN 'posts nothing'
    END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'posting % %', NEW.posting_id, wrong USING ERRCODE = 'GL002';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER posting_holds_true AFTER INSERT ON posting DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_posting();

ALTER TABLE posting ENABLE TRIGGER posting_stays;
ALTER TABLE entry ENABLE TRIGGER entry_stays;
