-- When this database was brought back to an earlier moment. What the service said after that moment is known to others by
-- versions that it would give again: from now on its streams go on above `version_floor`.
CREATE TABLE restored (
    version_floor int PRIMARY KEY,
    noted_at      timestamptz NOT NULL DEFAULT now()
);
