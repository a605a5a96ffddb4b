-- Who comes first (services/payment/budget.py), and a renewal's last moment: near it, it waits for nobody.
ALTER TABLE operation ADD COLUMN lane text NOT NULL DEFAULT 'checkout'
    CHECK (lane IN ('checkout', 'settlement', 'renewal', 'payout'));
ALTER TABLE operation ADD COLUMN act_by timestamptz;
UPDATE operation SET lane = 'settlement' WHERE kind IN ('capture', 'void', 'refund');
UPDATE operation SET lane = 'payout' WHERE kind = 'payout';

DROP INDEX operation_due;
CREATE INDEX operation_due ON operation (lane, kind, due_at) WHERE state = 'waiting';
CREATE INDEX operation_act_by ON operation (act_by) WHERE state = 'waiting' AND lane = 'renewal';

-- Token buckets that all replicas share (DOMAIN Y7): one per endpoint, and '*' for all calls together.
CREATE TABLE provider_bucket (
    endpoint  text PRIMARY KEY,
    rate      double precision NOT NULL CHECK (rate > 0),
    tokens    double precision NOT NULL,
    filled_at timestamptz NOT NULL,
    slowed_at timestamptz,
    throttled bigint NOT NULL
);

-- What an operator has stopped: a kind of operation, 'all' of them, or 'reads'.
CREATE TABLE provider_switch (
    kind       text PRIMARY KEY,
    stopped_at timestamptz NOT NULL,
    stopped_by text NOT NULL,
    reason     text NOT NULL
);
