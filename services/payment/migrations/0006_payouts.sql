-- Later payouts of a campaign, its reserve, and what its creator owes (DOMAIN Y10).
ALTER TABLE payout
    ADD COLUMN sent bigint NOT NULL DEFAULT 0,
    ADD COLUMN reserve_until timestamptz,
    DROP CONSTRAINT payout_state_check,
    ADD CONSTRAINT payout_state_check CHECK (state IN ('waiting', 'started', 'resting'));
CREATE INDEX payout_of_creator ON payout (creator_id, currency) WHERE sent > 0;

-- What was sent before payouts were counted: nothing waits for those, and their creators may owe from now on.
UPDATE payout
   SET sent = 1, state = 'resting'
 WHERE EXISTS (SELECT FROM posting
                WHERE posting.campaign_id = payout.campaign_id AND event = 'payment.PayoutSent.v1');

-- Locked while a payout of this creator is worked out, so that no debt is recovered twice.
CREATE TABLE creator (
    creator_id uuid NOT NULL,
    currency   text NOT NULL,
    PRIMARY KEY (creator_id, currency)
);

ALTER TABLE entry
    DROP CONSTRAINT entry_account_check,
    ADD CONSTRAINT entry_account_check CHECK (account IN (
        'holds', 'hold_promises', 'provider_receivable', 'campaign_payable', 'provider_fees', 'platform_fees',
        'refunds', 'disputes', 'reserve', 'payouts', 'creator_debts'
    ));
