-- What happens to operations, in order: the source of live timelines. Kept for a week.
CREATE TABLE palisade_control.operation_events (
  seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- A smaller number may commit later: readers of many operations read on from the oldest open transaction.
  xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at           timestamptz NOT NULL DEFAULT clock_timestamp(),
  operation_id uuid NOT NULL,
  tenant_id    text NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('operation', 'step')),
  data         jsonb NOT NULL
);
CREATE INDEX operation_events_operation ON palisade_control.operation_events (operation_id, seq);
CREATE INDEX operation_events_xid ON palisade_control.operation_events (xid, seq);
CREATE INDEX operation_events_at ON palisade_control.operation_events (at);

CREATE FUNCTION palisade_control.tell_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO palisade_control.operation_events (operation_id, tenant_id, kind, data)
    VALUES (NEW.id, NEW.tenant_id, 'operation', jsonb_build_object('operation_id', NEW.id, 'tenant_id', NEW.tenant_id,
      'kind', NEW.kind, 'state', NEW.state, 'error', NEW.error));
  PERFORM pg_notify('palisade_operations', '');
  RETURN NULL;
END $$;
CREATE TRIGGER tell_new AFTER INSERT ON palisade_control.operations
  FOR EACH ROW EXECUTE FUNCTION palisade_control.tell_operation();
CREATE TRIGGER tell AFTER UPDATE ON palisade_control.operations
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION palisade_control.tell_operation();

CREATE FUNCTION palisade_control.tell_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO palisade_control.operation_events (operation_id, tenant_id, kind, data)
    SELECT o.id, o.tenant_id, 'step', jsonb_build_object('operation_id', o.id, 'tenant_id', o.tenant_id,
      'position', NEW.position, 'name', NEW.name, 'state', NEW.state, 'detail', NEW.detail)
    FROM palisade_control.operations o WHERE o.id = NEW.operation_id;
  PERFORM pg_notify('palisade_operations', '');
  RETURN NULL;
END $$;
CREATE TRIGGER tell_new AFTER INSERT ON palisade_control.operation_steps
  FOR EACH ROW EXECUTE FUNCTION palisade_control.tell_step();
CREATE TRIGGER tell AFTER UPDATE ON palisade_control.operation_steps
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.detail IS DISTINCT FROM NEW.detail)
  EXECUTE FUNCTION palisade_control.tell_step();
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control FROM PUBLIC;
