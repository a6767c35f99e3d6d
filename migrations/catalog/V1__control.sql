-- Palisade's own tables. No tenant role has any right in this schema.
CREATE SCHEMA IF NOT EXISTS palisade_control;
REVOKE ALL ON SCHEMA palisade_control FROM PUBLIC;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'palisade_tenant') THEN
    CREATE ROLE palisade_tenant NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'palisade_proxy') THEN
    CREATE ROLE palisade_proxy LOGIN;
  END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO palisade_tenant', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO palisade_proxy', current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE TABLE palisade_control.tenants (
  id               text PRIMARY KEY,
  slug             text NOT NULL,
  display_name     text NOT NULL,
  cluster          text NOT NULL DEFAULT 'main',
  database         text NOT NULL DEFAULT current_database(),
  schema_name      text NOT NULL UNIQUE,
  template         text NOT NULL,
  template_version int NOT NULL,
  plan             text NOT NULL DEFAULT 'default',
  desired_state    text NOT NULL CHECK (desired_state IN ('active', 'suspended', 'deleted')),
  observed_state   text NOT NULL CHECK (observed_state IN ('pending', 'verifying', 'active', 'suspended', 'deleted')),
  pool_mode        text NOT NULL DEFAULT 'transaction' CHECK (pool_mode IN ('transaction', 'session')),
  limits           jsonb NOT NULL DEFAULT '{}',
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  deleted_at       timestamptz,
  -- The transaction that changed the row last: what proxies ask by. A sequence would show gaps as changes commit late.
  changed_xid      xid8 NOT NULL DEFAULT pg_current_xact_id()
);
-- A deleted tenant gives its slug back.
CREATE UNIQUE INDEX tenants_slug ON palisade_control.tenants (slug) WHERE observed_state <> 'deleted';
CREATE INDEX tenants_changed ON palisade_control.tenants (changed_xid);
CREATE INDEX tenants_created ON palisade_control.tenants (created_at, id);
CREATE INDEX tenants_unfinished ON palisade_control.tenants (observed_state)
  WHERE observed_state IN ('pending', 'verifying');

CREATE TABLE palisade_control.logins (
  tenant_id   text NOT NULL REFERENCES palisade_control.tenants ON DELETE CASCADE,
  name        text NOT NULL,
  kind        text NOT NULL,
  verifier    text NOT NULL,
  server_role text NOT NULL,
  generation  int NOT NULL DEFAULT 1,
  enabled     boolean NOT NULL DEFAULT true,
  PRIMARY KEY (tenant_id, name)
);

CREATE TABLE palisade_control.operations (
  id           uuid PRIMARY KEY,
  -- No foreign key: an operation outlives what its failure removed.
  tenant_id    text NOT NULL,
  kind         text NOT NULL,
  state        text NOT NULL CHECK (state IN ('running', 'succeeded', 'failed')),
  requested_by text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at  timestamptz,
  error        jsonb,
  -- Whoever holds the lease works on it; the fence grows with every holder, and an old holder's writes find nothing.
  lease_until  timestamptz NOT NULL DEFAULT clock_timestamp() + interval '15 seconds',
  fence        bigint NOT NULL DEFAULT 1
);
CREATE INDEX operations_tenant ON palisade_control.operations (tenant_id, created_at DESC);
CREATE INDEX operations_running ON palisade_control.operations (lease_until) WHERE state = 'running';

CREATE TABLE palisade_control.operation_steps (
  operation_id uuid NOT NULL REFERENCES palisade_control.operations ON DELETE CASCADE,
  position     int NOT NULL,
  name         text NOT NULL,
  state        text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at  timestamptz,
  detail       text,
  PRIMARY KEY (operation_id, position)
);

-- The answer to a request with an Idempotency-Key, without its secrets.
CREATE TABLE palisade_control.idempotency (
  subject      text NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL,
  operation_id uuid NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (subject, key)
);

CREATE TABLE palisade_control.audit_events (
  id        uuid PRIMARY KEY,
  at        timestamptz NOT NULL,
  class     text NOT NULL,
  plane     text NOT NULL,
  action    text NOT NULL,
  decision  text NOT NULL,
  result    text NOT NULL,
  actor     text NOT NULL,
  tenant_id text,
  event     jsonb NOT NULL
);
CREATE INDEX audit_events_at ON palisade_control.audit_events (at DESC, id DESC);
CREATE INDEX audit_events_tenant ON palisade_control.audit_events (tenant_id, at DESC, id DESC);
CREATE INDEX audit_events_denied ON palisade_control.audit_events (at DESC, id DESC) WHERE decision = 'deny';

CREATE FUNCTION palisade_control.touch_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed_xid := pg_current_xact_id();
  NEW.updated_at := now();
  PERFORM pg_notify('palisade_changes', '');
  RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON palisade_control.tenants
  FOR EACH ROW EXECUTE FUNCTION palisade_control.touch_tenant();

CREATE FUNCTION palisade_control.touch_login() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE palisade_control.tenants SET updated_at = now() WHERE id = NEW.tenant_id;
  RETURN NULL;
END $$;
CREATE TRIGGER touch AFTER UPDATE ON palisade_control.logins
  FOR EACH ROW EXECUTE FUNCTION palisade_control.touch_login();

-- What proxies need: every tenant that may have changed since a transaction, and the transaction to ask with next.
CREATE FUNCTION palisade_control.tenants_since(since xid8, OUT xmin xid8, OUT entries jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_snapshot_xmin(pg_current_snapshot()),
    coalesce(jsonb_agg(jsonb_build_object(
      'id', t.id, 'slug', t.slug, 'cluster', t.cluster, 'database', t.database, 'schema', t.schema_name,
      'access', CASE WHEN t.observed_state = 'active' AND t.desired_state = 'active' THEN 'open'
                     WHEN t.observed_state = 'verifying' THEN 'probe' ELSE 'closed' END,
      'pool_mode', t.pool_mode, 'limits', t.limits, 'gone', t.observed_state = 'deleted',
      'logins', (SELECT coalesce(jsonb_agg(jsonb_build_object(
          'name', l.name, 'kind', l.kind, 'verifier', l.verifier, 'server_role', l.server_role,
          'generation', l.generation, 'enabled', l.enabled) ORDER BY l.name), '[]')
        FROM palisade_control.logins l WHERE l.tenant_id = t.id))), '[]')
  FROM palisade_control.tenants t WHERE t.changed_xid >= since
$$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control FROM PUBLIC;
GRANT USAGE ON SCHEMA palisade_control TO palisade_proxy;
GRANT EXECUTE ON FUNCTION palisade_control.tenants_since(xid8) TO palisade_proxy;
GRANT INSERT ON palisade_control.audit_events TO palisade_proxy;
