-- What a backer is told while the bank wants them, while the hold is at risk, and of what was given back.
ALTER TABLE pledge_view
    ADD COLUMN change_waits   boolean NOT NULL DEFAULT false,
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN at_risk_since  timestamptz,
    ADD COLUMN at_risk_reason text,
    ADD COLUMN hold_lost      boolean NOT NULL DEFAULT false;
UPDATE pledge_view SET refunded_minor = amount_minor WHERE status = 'refunded';
