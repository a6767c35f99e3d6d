-- A deleted tenant keeps its schema until its retention ends; then it is purged in bounded batches.
ALTER TABLE palisade_control.tenants ADD COLUMN purge_after timestamptz;
UPDATE palisade_control.tenants SET purge_after = coalesce(deleted_at, now()) + interval '30 days'
  WHERE observed_state = 'deleted';
ALTER TABLE palisade_control.tenants DROP CONSTRAINT tenants_observed_state_check;
ALTER TABLE palisade_control.tenants ADD CHECK
  (observed_state IN ('pending', 'verifying', 'active', 'suspended', 'deleted', 'purging'));
DROP INDEX palisade_control.tenants_slug;
CREATE UNIQUE INDEX tenants_slug ON palisade_control.tenants (slug) WHERE observed_state NOT IN ('deleted', 'purging');
CREATE INDEX tenants_purge ON palisade_control.tenants (purge_after) WHERE observed_state = 'deleted';

CREATE OR REPLACE FUNCTION palisade_control.tenants_since(since xid8, OUT xmin xid8, OUT entries jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_snapshot_xmin(pg_current_snapshot()),
    coalesce(jsonb_agg(jsonb_build_object(
      'id', t.id, 'slug', t.slug, 'cluster', t.cluster, 'database', t.database, 'schema', t.schema_name,
      'access', CASE WHEN t.observed_state = 'active' AND t.desired_state = 'active' THEN 'open'
                     WHEN t.observed_state = 'verifying' THEN 'probe' ELSE 'closed' END,
      'pool_mode', t.pool_mode, 'limits', p.limits || t.limits, 'gone', t.observed_state IN ('deleted', 'purging'),
      'logins', (SELECT coalesce(jsonb_agg(jsonb_build_object(
          'name', l.name, 'kind', l.kind, 'verifier', l.verifier, 'server_role', l.server_role,
          'generation', l.generation, 'enabled', l.enabled) ORDER BY l.name), '[]')
        FROM palisade_control.logins l WHERE l.tenant_id = t.id))), '[]')
  FROM palisade_control.tenants t JOIN palisade_control.plans p ON p.name = t.plan WHERE t.changed_xid >= since
$$;

-- One tenant's step from one template version to the next or the one before. The step runs in the tenant's own session,
-- logged in as the tenant, because its triggers and defaults may run: whatever they do, they do as the tenant. The token
-- is known to the control plane only; it opens the two functions below for this one step.
CREATE TABLE palisade_control.moves (
  id           uuid PRIMARY KEY,
  tenant_id    text NOT NULL REFERENCES palisade_control.tenants ON DELETE CASCADE,
  from_version int NOT NULL,
  to_version   int NOT NULL,
  token_hash   bytea NOT NULL UNIQUE,
  -- How the tenant differed from its version before the step; the same must be true behind it.
  deviation    text[],
  created_at   timestamptz NOT NULL DEFAULT now()
);

-- How a schema differs from a template version: "+" has more, "-" lacks.
CREATE FUNCTION palisade_control.deviation(wanted_schema text, template_name text, wanted_version int) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH made AS MATERIALIZED (SELECT line FROM palisade_control.describe_schema(wanted_schema) AS line),
       wanted AS MATERIALIZED (SELECT unnest(description) AS line FROM palisade_control.template_versions
                               WHERE name = template_name AND version = wanted_version),
       differing (line) AS (SELECT '+' || line FROM (TABLE made EXCEPT ALL TABLE wanted) m
                            UNION ALL SELECT '-' || line FROM (TABLE wanted EXCEPT ALL TABLE made) w)
  SELECT coalesce(array_agg(line ORDER BY line COLLATE "C"), '{}') FROM differing
$$;

CREATE SCHEMA palisade_migrate;
REVOKE ALL ON SCHEMA palisade_migrate FROM PUBLIC;
GRANT USAGE ON SCHEMA palisade_migrate TO palisade_tenant;

-- Opens a step in the tenant's transaction.
CREATE FUNCTION palisade_migrate.open(token text) RETURNS void
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
  SELECT * INTO tenant FROM palisade_control.tenants t WHERE t.id = move.tenant_id FOR UPDATE;
  IF tenant.template_version <> move.from_version THEN
    RAISE EXCEPTION 'the tenant is at version % and the step is from version %', tenant.template_version, move.from_version
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE palisade_control.moves
    SET deviation = palisade_control.deviation(tenant.schema_name, tenant.template, move.from_version) WHERE id = move.id;
END $$;

-- Ends a step in the same transaction: what the tenant has of its own must be what it was, all else the new version's.
CREATE FUNCTION palisade_migrate.close(token text) RETURNS void
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
  SELECT * INTO tenant FROM palisade_control.tenants t WHERE t.id = move.tenant_id FOR UPDATE;
  now_differing := palisade_control.deviation(tenant.schema_name, tenant.template, move.to_version);
  SELECT line INTO odd FROM (
    (SELECT unnest(now_differing) EXCEPT ALL SELECT unnest(move.deviation))
    UNION ALL (SELECT unnest(move.deviation) EXCEPT ALL SELECT unnest(now_differing))) AS o (line) LIMIT 1;
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION 'the step does not lead to version %: %', move.to_version, odd
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE palisade_control.tenants SET template_version = move.to_version WHERE id = move.tenant_id;
  DELETE FROM palisade_control.moves WHERE id = move.id;
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control, palisade_migrate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION palisade_control.tenants_since(xid8) TO palisade_proxy;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA palisade_migrate TO palisade_tenant;
