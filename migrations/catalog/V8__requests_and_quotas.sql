-- Requests with an Idempotency-Key: the same key and request have the same answer. An answer may hold secrets, so it is
-- sealed with a key that is made from the Idempotency-Key, and of that only a digest is kept.
DROP TABLE palisade_control.idempotency;
CREATE TABLE palisade_control.idempotency (
  subject      text NOT NULL,
  key_hash     bytea NOT NULL,
  request_hash bytea NOT NULL,
  -- What the request's operation is called: a request that is tried again after a crash finds it.
  operation_id uuid NOT NULL,
  -- Whoever works on it holds the lease; when it has run out the request may be tried again.
  lease_until  timestamptz NOT NULL,
  -- HTTP status and sealed answer; NULL while it is under way.
  status       int,
  answer       bytea,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (subject, key_hash)
);
CREATE INDEX idempotency_created ON palisade_control.idempotency (created_at);

-- An operation that somebody wants to end is ended at its next step.
ALTER TABLE palisade_control.operations ADD COLUMN cancel_requested_by text;
ALTER TABLE palisade_control.operations DROP CONSTRAINT operations_state_check;
ALTER TABLE palisade_control.operations
  ADD CHECK (state IN ('running', 'succeeded', 'failed', 'cancelled'));
CREATE INDEX operations_created ON palisade_control.operations (created_at DESC, id DESC);

-- Most tenants of a plan; NULL is without end.
ALTER TABLE palisade_control.plans ADD COLUMN max_tenants int CHECK (max_tenants >= 0);

-- Those who watch a migration are told of every step of it.
CREATE FUNCTION palisade_control.tell_migration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('palisade_operations', '');
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON palisade_control.migrations
  FOR EACH STATEMENT EXECUTE FUNCTION palisade_control.tell_migration();
CREATE TRIGGER tell AFTER UPDATE ON palisade_control.migration_targets
  FOR EACH STATEMENT EXECUTE FUNCTION palisade_control.tell_migration();
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control FROM PUBLIC;
GRANT EXECUTE ON FUNCTION palisade_control.tenants_since(xid8) TO palisade_proxy;
