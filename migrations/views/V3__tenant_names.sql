-- The tenant's own names for roles, channels and lock keys. Runs at every start, in one transaction; safe to repeat.

-- The role that a tenant means by a name.
CREATE OR REPLACE FUNCTION palisade.role_of(logical name) RETURNS name LANGUAGE sql STABLE AS
  $$ SELECT CASE WHEN $1::pg_catalog.text = 'owner' THEN (palisade.tenant_schema() || '_owner')::pg_catalog.name
     WHEN $1::pg_catalog.text IN ('app', 'readonly') THEN (palisade.tenant_schema() || '_l_' || $1)::pg_catalog.name ELSE $1 END $$;

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
  $$ SELECT palisade.acl(pg_catalog.acldefault($1, $2)) $$;
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

-- Advisory locks: the keys of two tenants never meet.
DO $locks$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT proname, format_type(prorettype, NULL) AS result, pronargs FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^pg_(try_)?advisory_' AND pronargs > 0 LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION palisade.%I(%s) RETURNS %s LANGUAGE sql VOLATILE AS %L', f.proname,
      CASE f.pronargs WHEN 1 THEN 'bigint' ELSE 'integer, integer' END, f.result,
      format('SELECT pg_catalog.%I(pg_catalog.hashtextextended(palisade.tenant_schema() || %s, 0))', f.proname,
        CASE f.pronargs WHEN 1 THEN ''':'' || $1' ELSE ''':'' || $1 || '','' || $2' END));
  END LOOP;
END $locks$;
CREATE OR REPLACE FUNCTION palisade.pg_advisory_unlock_all() RETURNS void LANGUAGE sql VOLATILE AS
  $$ SELECT pg_catalog.pg_advisory_unlock_all() $$;

-- A role in has_…_privilege and pg_has_role is named as the tenant names it.
DO $privileges$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT oid, proname, pronargs, proargtypes FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    AND (proname ~ '^has_.*_privilege$' OR proname = 'pg_has_role') LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION palisade.%I(%s) RETURNS boolean LANGUAGE sql STABLE AS %L', f.proname,
      pg_get_function_identity_arguments(f.oid), format('SELECT pg_catalog.%I(%s)', f.proname,
        (SELECT string_agg(CASE WHEN t.oid = 'name'::regtype THEN format('palisade.role_of($%s)', n) ELSE '$' || n END, ', ' ORDER BY n)
         FROM unnest(f.proargtypes) WITH ORDINALITY AS a(id, n) JOIN pg_type t ON t.oid = a.id)));
  END LOOP;
END $privileges$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA palisade TO palisade_tenant;
