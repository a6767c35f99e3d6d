-- The audit trail as one log: every event has a number and the hash of its leaf, given in the order in which events arrive.
ALTER TABLE palisade_control.audit_events ADD COLUMN number bigint, ADD COLUMN leaf bytea;
CREATE UNIQUE INDEX audit_events_number ON palisade_control.audit_events (number);
CREATE INDEX audit_events_unnumbered ON palisade_control.audit_events (at, id) WHERE number IS NULL;
-- What is searched for.
CREATE INDEX audit_events_actor ON palisade_control.audit_events (actor, at DESC, id DESC);
CREATE INDEX audit_events_action ON palisade_control.audit_events (action, at DESC, id DESC);
CREATE INDEX audit_events_sqlstate ON palisade_control.audit_events ((event ->> 'sqlstate'), at DESC, id DESC) WHERE event ? 'sqlstate';
CREATE INDEX audit_events_object ON palisade_control.audit_events ((event ->> 'object') text_pattern_ops, at DESC, id DESC) WHERE event ? 'object';
CREATE INDEX audit_events_session ON palisade_control.audit_events ((event ->> 'session'), at DESC, id DESC) WHERE event ? 'session';

-- The tree that the next event is added to; one row.
CREATE TABLE palisade_control.audit_log (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  origin text NOT NULL DEFAULT 'palisade/audit/' || gen_random_uuid(),
  size   bigint NOT NULL DEFAULT 0,
  roots  bytea[] NOT NULL DEFAULT '{}',
  -- What was deleted by rule: everything before this number, and the tree of it.
  kept_from  bigint NOT NULL DEFAULT 0,
  kept_roots bytea[] NOT NULL DEFAULT '{}'
);
INSERT INTO palisade_control.audit_log DEFAULT VALUES;

CREATE TABLE palisade_control.audit_checkpoints (
  size bigint PRIMARY KEY,
  at   timestamptz NOT NULL DEFAULT now(),
  note text NOT NULL
);
