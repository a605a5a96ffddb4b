-- Pledges at risk, refunds in part and disputes, of each pledge and in a campaign's total.
ALTER TABLE contribution
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN at_risk        boolean NOT NULL DEFAULT false,
    ADD COLUMN disputes       bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputes_lost  bigint NOT NULL DEFAULT 0,
    ADD COLUMN lost_minor     bigint NOT NULL DEFAULT 0;
ALTER TABLE campaign_total
    ADD COLUMN at_risk        bigint NOT NULL DEFAULT 0,
    ADD COLUMN at_risk_minor  bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputes       bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputes_lost  bigint NOT NULL DEFAULT 0,
    ADD COLUMN lost_minor     bigint NOT NULL DEFAULT 0;
