-- A rotated login may keep its old secret for a while, so that clients are moved without a gap. Both verifiers have one
-- salt: a client is told it before anybody knows which secret it has.
ALTER TABLE palisade_control.logins ADD COLUMN previous_verifier text, ADD COLUMN previous_until timestamptz;
CREATE INDEX logins_previous ON palisade_control.logins (previous_until) WHERE previous_until IS NOT NULL;

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
          'generation', l.generation, 'enabled', l.enabled,
          'previous', CASE WHEN l.previous_until > now() THEN jsonb_build_object(
             'verifier', l.previous_verifier, 'until', ceil(extract(epoch FROM l.previous_until))::bigint) END)
        ORDER BY l.name), '[]')
        FROM palisade_control.logins l WHERE l.tenant_id = t.id))), '[]')
  FROM palisade_control.tenants t JOIN palisade_control.plans p ON p.name = t.plan WHERE t.changed_xid >= since
$$;
