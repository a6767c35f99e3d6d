-- The audit trail by months: a month is deleted as a whole by detaching it. A month is that in which an event reached the
-- catalog, so a month's events are a stretch of the log, but for a few at its ends.
ALTER TABLE palisade_control.audit_events RENAME TO audit_events_first;
ALTER TABLE palisade_control.audit_events_first DROP CONSTRAINT audit_events_pkey;
ALTER INDEX palisade_control.audit_events_at RENAME TO audit_events_first_at;
ALTER INDEX palisade_control.audit_events_tenant RENAME TO audit_events_first_tenant;
ALTER INDEX palisade_control.audit_events_denied RENAME TO audit_events_first_denied;
DROP INDEX palisade_control.audit_events_number;
ALTER INDEX palisade_control.audit_events_unnumbered RENAME TO audit_events_first_unnumbered;
ALTER INDEX palisade_control.audit_events_actor RENAME TO audit_events_first_actor;
ALTER INDEX palisade_control.audit_events_action RENAME TO audit_events_first_action;
ALTER INDEX palisade_control.audit_events_sqlstate RENAME TO audit_events_first_sqlstate;
ALTER INDEX palisade_control.audit_events_object RENAME TO audit_events_first_object;
ALTER INDEX palisade_control.audit_events_session RENAME TO audit_events_first_session;

-- Without a volatile default nothing is rewritten.
DO $month$ BEGIN
  EXECUTE format('ALTER TABLE palisade_control.audit_events_first ADD COLUMN month date NOT NULL DEFAULT %L',
    date_trunc('month', now() AT TIME ZONE 'UTC')::date);
END $month$;

CREATE TABLE palisade_control.audit_events (
  LIKE palisade_control.audit_events_first,
  PRIMARY KEY (id, month)
) PARTITION BY RANGE (month);
ALTER TABLE palisade_control.audit_events ALTER month SET DEFAULT date_trunc('month', now() AT TIME ZONE 'UTC')::date;
CREATE INDEX audit_events_at ON palisade_control.audit_events (at DESC, id DESC);
CREATE INDEX audit_events_tenant ON palisade_control.audit_events (tenant_id, at DESC, id DESC);
CREATE INDEX audit_events_denied ON palisade_control.audit_events (at DESC, id DESC) WHERE decision = 'deny';
CREATE UNIQUE INDEX audit_events_number ON palisade_control.audit_events (number, month);
CREATE INDEX audit_events_unnumbered ON palisade_control.audit_events (at, id) WHERE number IS NULL;
CREATE INDEX audit_events_actor ON palisade_control.audit_events (actor, at DESC, id DESC);
CREATE INDEX audit_events_action ON palisade_control.audit_events (action, at DESC, id DESC);
CREATE INDEX audit_events_sqlstate ON palisade_control.audit_events ((event ->> 'sqlstate'), at DESC, id DESC) WHERE event ? 'sqlstate';
CREATE INDEX audit_events_object ON palisade_control.audit_events ((event ->> 'object') text_pattern_ops, at DESC, id DESC) WHERE event ? 'object';
CREATE INDEX audit_events_session ON palisade_control.audit_events ((event ->> 'session'), at DESC, id DESC) WHERE event ? 'session';
CREATE INDEX audit_events_fingerprint ON palisade_control.audit_events ((event ->> 'fingerprint'), at DESC, id DESC) WHERE event ? 'fingerprint';
CREATE INDEX audit_events_reason ON palisade_control.audit_events ((event ->> 'reason'), at DESC, id DESC) WHERE event ? 'reason';

-- What was there is the first month.
DO $first$
DECLARE
  month date := date_trunc('month', now() AT TIME ZONE 'UTC');
BEGIN
  EXECUTE format('ALTER TABLE palisade_control.audit_events ATTACH PARTITION palisade_control.audit_events_first
    FOR VALUES FROM (%L) TO (%L)', month, month + interval '1 month');
  EXECUTE format('ALTER TABLE palisade_control.audit_events_first RENAME TO %I', 'audit_events_' || to_char(month, 'YYYY_MM'));
END $first$;
-- Where nobody has made a month in time.
CREATE TABLE palisade_control.audit_events_default PARTITION OF palisade_control.audit_events DEFAULT;

-- Makes a month's table, and moves what stands in the default one there. Says whether it was missing.
CREATE FUNCTION palisade_control.audit_month(month date) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first date := date_trunc('month', month);
  name text := 'audit_events_' || to_char(first, 'YYYY_MM');
BEGIN
  IF to_regclass('palisade_control.' || name) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE palisade_control.%I (LIKE palisade_control.audit_events INCLUDING DEFAULTS)', name);
  EXECUTE format('WITH moved AS (DELETE FROM palisade_control.audit_events_default WHERE month >= %L AND month < %L RETURNING *)
    INSERT INTO palisade_control.%I SELECT * FROM moved', first, first + interval '1 month', name);
  EXECUTE format('ALTER TABLE palisade_control.audit_events ATTACH PARTITION palisade_control.%I FOR VALUES FROM (%L) TO (%L)',
    name, first, first + interval '1 month');
  RETURN true;
END $$;
SELECT palisade_control.audit_month(((now() AT TIME ZONE 'UTC')::date + interval '1 month' * n)::date) FROM generate_series(1, 2) n;

-- What proxies write: events as JSON. One that is there already, in whatever month, stays as it is.
CREATE FUNCTION palisade_control.audit_write(events jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO palisade_control.audit_events (id, at, class, plane, action, decision, result, actor, tenant_id, event)
  SELECT (e ->> 'id')::uuid, (e ->> 'at')::timestamptz, e ->> 'class', e ->> 'plane', e ->> 'action', e ->> 'decision',
    e ->> 'result', e ->> 'actor', e ->> 'tenant_id', e
  FROM jsonb_array_elements(events) AS given (e)
  WHERE NOT EXISTS (SELECT FROM palisade_control.audit_events known WHERE known.id = (e ->> 'id')::uuid)
  ON CONFLICT DO NOTHING
$$;
REVOKE ALL ON FUNCTION palisade_control.audit_month(date), palisade_control.audit_write(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION palisade_control.audit_write(jsonb) TO palisade_proxy;
GRANT INSERT ON palisade_control.audit_events TO palisade_proxy;

-- The leaves of events that were deleted by rule while others of their month were kept, with the event that says so.
CREATE TABLE palisade_control.audit_retired (
  number bigint PRIMARY KEY,
  leaf   bytea NOT NULL,
  month  date NOT NULL,
  by     uuid NOT NULL
);
CREATE INDEX audit_retired_by ON palisade_control.audit_retired (by, number);

-- Nothing that a hold covers is deleted before it is released.
CREATE TABLE palisade_control.audit_holds (
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  reason      text NOT NULL,
  -- Everybody's where it is missing.
  tenant_id   text,
  since       timestamptz,
  until       timestamptz,
  held_by     text NOT NULL,
  held_at     timestamptz NOT NULL DEFAULT now(),
  released_by text,
  released_at timestamptz
);

-- How far the log was given to each sink beside this database.
CREATE TABLE palisade_control.audit_sinks (
  name   text PRIMARY KEY,
  -- The last number that it has; -1 before the first.
  number bigint NOT NULL DEFAULT -1,
  at     timestamptz NOT NULL DEFAULT now(),
  error  text
);
