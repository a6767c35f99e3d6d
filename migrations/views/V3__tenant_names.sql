-- The tenant's own names for roles, channels and lock keys. Runs at every start, in one transaction; safe to repeat.

-- The role that a tenant means by a name; a name that is not its own is refused as one that nobody has.
CREATE OR REPLACE FUNCTION palisade.role_of(logical name) RETURNS name LANGUAGE plpgsql STABLE STRICT
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF logical = 'owner' THEN
    RETURN palisade.tenant_schema() || '_owner';
  ELSIF logical IN ('app', 'readonly') THEN
    RETURN palisade.tenant_schema() || '_l_' || logical;
  ELSIF logical IN ('public', 'postgres') OR logical LIKE 'pg\_%' OR starts_with(logical, palisade.tenant_schema() || '_') THEN
    RETURN logical;
  END IF;
  RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = 'role "' || logical || '" does not exist';
END $$;

CREATE OR REPLACE FUNCTION palisade.current_user() RETURNS name LANGUAGE sql STABLE AS $$ SELECT palisade.role_name(current_user) $$;
CREATE OR REPLACE FUNCTION palisade.current_role() RETURNS name LANGUAGE sql STABLE AS $$ SELECT palisade.role_name(current_user) $$;
CREATE OR REPLACE FUNCTION palisade.user() RETURNS name LANGUAGE sql STABLE AS $$ SELECT palisade.role_name(current_user) $$;
CREATE OR REPLACE FUNCTION palisade.session_user() RETURNS name LANGUAGE sql STABLE AS $$ SELECT palisade.role_name(session_user) $$;

-- The path as the tenant knows it: its own schema, and what is shared.
CREATE OR REPLACE FUNCTION palisade.search_path() RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT replace(replace(pg_catalog.current_setting('search_path'), palisade.tenant_schema()::pg_catalog.text, '"$user", public'), ', pg_temp', '') $$;

-- Without the schema, because the answer is used as a name: `nextval(pg_get_serial_sequence('users', 'id'))`.
CREATE OR REPLACE FUNCTION palisade.pg_get_serial_sequence(text, text) RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT pg_catalog.replace(pg_catalog.pg_get_serial_sequence($1, $2), palisade.tenant_schema() || '.', '') $$;

-- Access control lists with the tenant's names, as the lists of texts that PostgreSQL shows.
CREATE OR REPLACE FUNCTION palisade.acldefault("char", oid) RETURNS text[] LANGUAGE sql STABLE AS
  $$ SELECT CASE WHEN palisade.sees('pg_authid', $2) THEN palisade.acl(pg_catalog.acldefault($1, $2))
     ELSE ARRAY(SELECT pg_catalog.replace(i, 'postgres', $2::pg_catalog.text)
                FROM pg_catalog.unnest(palisade.acl(pg_catalog.acldefault($1, 10))) i) END $$;
CREATE OR REPLACE FUNCTION palisade.aclexplode(acl text[], OUT grantor oid, OUT grantee oid, OUT privilege_type text, OUT is_grantable boolean)
  RETURNS SETOF record LANGUAGE sql STABLE AS
  $$ SELECT e.* FROM pg_catalog.unnest($1) AS a(item), LATERAL pg_catalog.aclexplode(ARRAY[
       pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.regexp_replace(a.item, '^(app|readonly)=', palisade.tenant_schema() || '_l_\1='),
         '^owner=', palisade.tenant_schema() || '_owner='), '/owner$', '/' || palisade.tenant_schema() || '_owner')::pg_catalog.aclitem]) e $$;

-- Channels: the physical name begins with the schema's, as that of LISTEN and NOTIFY.
CREATE OR REPLACE FUNCTION palisade.pg_notify(channel text, payload text) RETURNS void LANGUAGE sql VOLATILE AS
  $$ SELECT pg_catalog.pg_notify(palisade.tenant_schema() || ':' || $1, $2) $$;
CREATE OR REPLACE FUNCTION palisade.pg_listening_channels() RETURNS SETOF text LANGUAGE sql STABLE AS
  $$ SELECT pg_catalog.substr(c, pg_catalog.length(palisade.tenant_schema()::pg_catalog.text) + 2) FROM pg_catalog.pg_listening_channels() c
     WHERE pg_catalog.starts_with(c, palisade.tenant_schema() || ':') $$;

-- Advisory locks: the keys of two tenants never meet, and one tenant's locks leave room for the others' in PostgreSQL's
-- table of locks: at most an eighth of it. Counting is dear, so one call in 64, by the clock, counts.
CREATE OR REPLACE FUNCTION palisade.lock_room() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  most integer := current_setting('max_locks_per_transaction')::integer * current_setting('max_connections')::integer / 8;
BEGIN
  IF extract(microseconds FROM clock_timestamp())::integer & 63 = 0
    AND (SELECT count(*) FROM pg_locks l JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid JOIN pg_roles r ON r.oid = a.usesysid
         WHERE l.locktype = 'advisory' AND r.rolname LIKE replace(palisade.tenant_schema(), '_', '\_') || '\_%') >= most THEN
    RAISE EXCEPTION USING ERRCODE = '53200', MESSAGE = 'too many advisory locks',
      DETAIL = 'The sessions of this database may hold ' || most || ' advisory locks together.';
  END IF;
END $$;
DO $locks$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT proname, format_type(prorettype, NULL) AS result, pronargs FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^pg_(try_)?advisory_' AND pronargs > 0 LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION palisade.%I(%s) RETURNS %s LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS %L', f.proname,
      CASE f.pronargs WHEN 1 THEN 'bigint' ELSE 'integer, integer' END, f.result,
      format('BEGIN %s %s pg_catalog.%I(pg_catalog.hashtextextended(palisade.tenant_schema() || %s, 0)); END',
        CASE WHEN f.proname ~ 'unlock' THEN '' ELSE 'PERFORM palisade.lock_room();' END,
        CASE f.result WHEN 'void' THEN 'PERFORM' ELSE 'RETURN' END, f.proname,
        CASE f.pronargs WHEN 1 THEN ''':'' || $1' ELSE ''':'' || $1 || '','' || $2' END));
  END LOOP;
END $locks$;
CREATE OR REPLACE FUNCTION palisade.pg_advisory_unlock_all() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS
  $$ BEGIN PERFORM pg_catalog.pg_advisory_unlock_all(); END $$;

-- A role in has_…_privilege and pg_has_role is named as the tenant names it.
-- An object that is given by its number and is not in sight answers as one that nobody has: with NULL.
DO $privileges$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT p.oid, proname, pronargs, proargtypes, v.catalog,
      -- Without a user the object is the first argument, else the second.
      CASE WHEN pronargs - CASE v.name WHEN 'has_column_privilege' THEN 3 ELSE 2 END > 0 THEN 1 ELSE 0 END AS at
    FROM (VALUES ('has_table_privilege', 'pg_class'), ('has_any_column_privilege', 'pg_class'), ('has_column_privilege', 'pg_class'),
      ('has_sequence_privilege', 'pg_class'), ('has_function_privilege', 'pg_proc'), ('has_schema_privilege', 'pg_namespace'),
      ('has_type_privilege', 'pg_type'), ('pg_has_role', NULL)) AS v(name, catalog)
    JOIN pg_proc p ON p.proname = v.name AND p.pronamespace = 'pg_catalog'::regnamespace
  LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION palisade.%I(%s) RETURNS boolean LANGUAGE sql STABLE AS %L', f.proname,
      pg_get_function_identity_arguments(f.oid), format('SELECT CASE WHEN %s THEN pg_catalog.%I(%s) END',
        CASE WHEN f.catalog IS NOT NULL AND f.proargtypes[f.at] = 'oid'::regtype THEN format('palisade.sees(%L, $%s)', f.catalog, f.at + 1)
          ELSE 'true' END, f.proname,
        (SELECT string_agg(CASE WHEN t.oid = 'name'::regtype THEN format('palisade.role_of($%s)', n)
           WHEN n <> f.at + 1 OR t.oid <> 'text'::regtype OR f.catalog IS NULL THEN '$' || n
           WHEN f.catalog = 'pg_namespace' THEN format('CASE $%s WHEN ''public'' THEN palisade.tenant_schema() ELSE $%1$s END', n)
           ELSE format('palisade.physical($%s)', n) END, ', ' ORDER BY n)
         FROM unnest(f.proargtypes) WITH ORDINALITY AS a(id, n) JOIN pg_type t ON t.oid = a.id)));
  END LOOP;
END $privileges$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA palisade TO palisade_tenant;
