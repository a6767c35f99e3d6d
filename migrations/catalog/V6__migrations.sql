-- A migration takes every tenant of a template to a version, wave by wave.
CREATE TABLE palisade_control.migrations (
  id           uuid PRIMARY KEY,
  template     text NOT NULL,
  to_version   int NOT NULL,
  state        text NOT NULL CHECK (state IN ('running', 'paused', 'succeeded', 'failed', 'aborted')),
  -- Why it is paused.
  reason       text,
  parallelism  int NOT NULL,
  max_failures int NOT NULL,
  waves        int NOT NULL,
  requested_by text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at  timestamptz,
  -- Whoever holds the lease works on it; an old holder's fence finds nothing.
  lease_until  timestamptz NOT NULL DEFAULT '-infinity',
  fence        bigint NOT NULL DEFAULT 0,
  FOREIGN KEY (template, to_version) REFERENCES palisade_control.template_versions
);
CREATE UNIQUE INDEX migrations_active ON palisade_control.migrations (template) WHERE state IN ('running', 'paused');

CREATE TABLE palisade_control.migration_targets (
  migration_id uuid NOT NULL REFERENCES palisade_control.migrations ON DELETE CASCADE,
  -- No foreign key: a target outlives its tenant.
  tenant_id    text NOT NULL,
  slug         text NOT NULL,
  from_version int NOT NULL,
  wave         int NOT NULL,
  state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'failed', 'skipped')),
  attempts     int NOT NULL DEFAULT 0,
  sqlstate     text,
  error        text,
  started_at   timestamptz,
  finished_at  timestamptz,
  PRIMARY KEY (migration_id, tenant_id)
);
CREATE INDEX migration_targets_state ON palisade_control.migration_targets (migration_id, state, wave, tenant_id);

-- One step of a tenant at a time; its row is locked while it runs, the tenant's own row only at its end, so that a tenant
-- can be suspended in the middle.
DELETE FROM palisade_control.moves;
ALTER TABLE palisade_control.moves ADD UNIQUE (tenant_id);

CREATE OR REPLACE FUNCTION palisade_migrate.open(token text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  move palisade_control.moves;
  tenant palisade_control.tenants;
BEGIN
  SELECT * INTO move FROM palisade_control.moves m WHERE m.token_hash = sha256(convert_to(token, 'UTF8'))
    AND session_user = 't_' || m.tenant_id || '_l_owner' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no such step' USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT * INTO tenant FROM palisade_control.tenants t WHERE t.id = move.tenant_id;
  IF tenant.template_version <> move.from_version THEN
    RAISE EXCEPTION 'the tenant is at version % and the step is from version %', tenant.template_version, move.from_version
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE palisade_control.moves
    SET deviation = palisade_control.deviation(tenant.schema_name, tenant.template, move.from_version) WHERE id = move.id;
END $$;

CREATE OR REPLACE FUNCTION palisade_migrate.close(token text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  move palisade_control.moves;
  tenant palisade_control.tenants;
  now_differing text[];
  odd text;
BEGIN
  SELECT * INTO move FROM palisade_control.moves m WHERE m.token_hash = sha256(convert_to(token, 'UTF8'))
    AND m.deviation IS NOT NULL AND session_user = 't_' || m.tenant_id || '_l_owner' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no such step' USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT * INTO tenant FROM palisade_control.tenants t WHERE t.id = move.tenant_id;
  now_differing := palisade_control.deviation(tenant.schema_name, tenant.template, move.to_version);
  SELECT line INTO odd FROM (
    (SELECT unnest(now_differing) EXCEPT ALL SELECT unnest(move.deviation))
    UNION ALL (SELECT unnest(move.deviation) EXCEPT ALL SELECT unnest(now_differing))) AS o (line) LIMIT 1;
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION 'the step does not lead to version %: %', move.to_version, odd
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE palisade_control.tenants SET template_version = move.to_version
    WHERE id = move.tenant_id AND template_version = move.from_version;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the tenant was moved meanwhile' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  DELETE FROM palisade_control.moves WHERE id = move.id;
END $$;
