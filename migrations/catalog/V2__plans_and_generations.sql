-- A plan is a named set of limits. A tenant's own limits stand over its plan's.
CREATE TABLE palisade_control.plans (
  name        text PRIMARY KEY,
  description text NOT NULL DEFAULT '',
  limits      jsonb NOT NULL DEFAULT '{}',
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO palisade_control.plans (name, description) VALUES ('default', 'The proxy''s own limits');
INSERT INTO palisade_control.plans (name)
  SELECT DISTINCT plan FROM palisade_control.tenants ON CONFLICT DO NOTHING;
ALTER TABLE palisade_control.tenants ADD FOREIGN KEY (plan) REFERENCES palisade_control.plans;
CREATE INDEX tenants_plan ON palisade_control.tenants (plan);

-- Counts the changes of a row: what If-Match compares.
ALTER TABLE palisade_control.tenants ADD COLUMN generation bigint NOT NULL DEFAULT 1;

CREATE OR REPLACE FUNCTION palisade_control.touch_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed_xid := pg_current_xact_id();
  NEW.updated_at := now();
  IF TG_OP = 'UPDATE' THEN
    NEW.generation := OLD.generation + 1;
  END IF;
  PERFORM pg_notify('palisade_changes', '');
  RETURN NEW;
END $$;

-- Proxies ask for changed tenants: a plan's new limits change every tenant on it.
CREATE FUNCTION palisade_control.touch_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE palisade_control.tenants SET updated_at = now() WHERE plan = NEW.name;
  RETURN NULL;
END $$;
CREATE TRIGGER touch AFTER UPDATE OF limits ON palisade_control.plans
  FOR EACH ROW WHEN (OLD.limits IS DISTINCT FROM NEW.limits) EXECUTE FUNCTION palisade_control.touch_plan();

CREATE OR REPLACE FUNCTION palisade_control.tenants_since(since xid8, OUT xmin xid8, OUT entries jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_snapshot_xmin(pg_current_snapshot()),
    coalesce(jsonb_agg(jsonb_build_object(
      'id', t.id, 'slug', t.slug, 'cluster', t.cluster, 'database', t.database, 'schema', t.schema_name,
      'access', CASE WHEN t.observed_state = 'active' AND t.desired_state = 'active' THEN 'open'
                     WHEN t.observed_state = 'verifying' THEN 'probe' ELSE 'closed' END,
      'pool_mode', t.pool_mode, 'limits', p.limits || t.limits, 'gone', t.observed_state = 'deleted',
      'logins', (SELECT coalesce(jsonb_agg(jsonb_build_object(
          'name', l.name, 'kind', l.kind, 'verifier', l.verifier, 'server_role', l.server_role,
          'generation', l.generation, 'enabled', l.enabled) ORDER BY l.name), '[]')
        FROM palisade_control.logins l WHERE l.tenant_id = t.id))), '[]')
  FROM palisade_control.tenants t JOIN palisade_control.plans p ON p.name = t.plan WHERE t.changed_xid >= since
$$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control FROM PUBLIC;
GRANT EXECUTE ON FUNCTION palisade_control.tenants_since(xid8) TO palisade_proxy;
