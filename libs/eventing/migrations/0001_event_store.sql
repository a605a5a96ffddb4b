-- The event store of one service: its own events and the foreign ones that it has taken in.
-- It is outbox, inbox and history at once.
CREATE TABLE event (
    position    bigint GENERATED ALWAYS AS IDENTITY,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_id    uuid NOT NULL,
    source      text NOT NULL,
    stream_id   uuid NOT NULL,
    version     int NOT NULL,
    type        text NOT NULL,
    data        jsonb NOT NULL,
    meta        jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, stream_id, version)
);

-- Readers go by (xid, position): positions are given before commit and so become visible out of order.
CREATE UNIQUE INDEX event_in_commit_order ON event (xid, position);

-- The relay looks for own events only; without this it would walk over every foreign one.
DO $$
BEGIN
    EXECUTE format(
        'CREATE INDEX event_own_in_commit_order ON event (xid, position) WHERE source = %L',
        current_schema()
    );
END
$$;

-- The first accepted answer of a command, per person and key (DOMAIN P10).
CREATE TABLE idempotency (
    person_id   uuid NOT NULL,
    key         text NOT NULL,
    fingerprint text NOT NULL,
    answer_json text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (person_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Which replica relays, until when, and how far it has come. `epoch` rises with every change of hands.
CREATE TABLE relay (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    holder   uuid,
    epoch    bigint NOT NULL DEFAULT 0,
    until    timestamptz NOT NULL DEFAULT '-infinity',
    xid      xid8 NOT NULL DEFAULT '0',
    position bigint NOT NULL DEFAULT 0
);
INSERT INTO relay DEFAULT VALUES;

-- What could not be taken in, as it came, with the reason. An operator looks at it, tries it again or discards it.
CREATE TABLE parked_event (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type      text NOT NULL,
    event_id  uuid,
    body      bytea NOT NULL,
    error     text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX parked_event_once ON parked_event (event_id) WHERE event_id IS NOT NULL;
