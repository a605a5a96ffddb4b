-- Pledges at risk, what was given back, and what banks took back. `analytics rebuild` fills them from the events.
ALTER TABLE pledge_fact
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputes       bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputes_lost  bigint NOT NULL DEFAULT 0,
    ADD COLUMN lost_minor     bigint NOT NULL DEFAULT 0;
ALTER TABLE pledge_sums
    ADD COLUMN at_risk        bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputes       bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputes_lost  bigint NOT NULL DEFAULT 0,
    ADD COLUMN at_risk_minor  bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN lost_minor     bigint NOT NULL DEFAULT 0;
