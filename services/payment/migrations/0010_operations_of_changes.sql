-- The change of a pledge that an operation is for: its part of the idempotency key (DOMAIN Y2). The primary key is derived
-- from the same parts, so it also keeps those without a change apart.
ALTER TABLE operation ADD COLUMN change_id uuid;
ALTER TABLE operation
    DROP CONSTRAINT operation_subject_id_kind_attempt_key,
    ADD UNIQUE (subject_id, kind, attempt, change_id);
