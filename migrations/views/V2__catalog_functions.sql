-- Replacements of the catalog functions that tell about objects by number: they answer as for a number that nobody
-- has, and with the tenant's own names. Runs at every start, in one transaction; safe to repeat.
DO $functions$
DECLARE
  f record;
  guard text;
  call text;
  logical boolean;
BEGIN
  FOR f IN
    SELECT p.oid, p.proname, p.pronargs, p.proargtypes[0] AS first, format_type(p.prorettype, NULL) AS result,
           pg_get_function_identity_arguments(p.oid) AS arguments, v.catalog
    FROM (VALUES
      ('pg_get_viewdef', 'pg_class'), ('pg_get_indexdef', 'pg_class'), ('pg_table_is_visible', 'pg_class'),
      ('pg_relation_size', 'pg_class'), ('pg_table_size', 'pg_class'), ('pg_total_relation_size', 'pg_class'),
      ('pg_indexes_size', 'pg_class'), ('pg_get_partkeydef', 'pg_class'),
      ('pg_get_partition_constraintdef', 'pg_class'), ('pg_sequence_last_value', 'pg_class'),
      ('pg_relation_is_updatable', 'pg_class'), ('pg_relation_is_publishable', 'pg_class'), ('pg_column_is_updatable', 'pg_class'), ('col_description', 'pg_class'),
      ('pg_get_serial_sequence', 'text'), ('pg_get_expr', 'any'), ('pg_get_constraintdef', 'pg_constraint'),
      ('pg_get_triggerdef', 'pg_trigger'), ('pg_get_ruledef', 'pg_rewrite'), ('pg_get_functiondef', 'pg_proc'),
      ('pg_get_function_arguments', 'pg_proc'), ('pg_get_function_identity_arguments', 'pg_proc'),
      ('pg_get_function_result', 'pg_proc'), ('pg_get_function_arg_default', 'pg_proc'),
      ('pg_get_function_sqlbody', 'pg_proc'), ('pg_function_is_visible', 'pg_proc'),
      ('pg_type_is_visible', 'pg_type'), ('pg_get_statisticsobjdef', 'pg_statistic_ext'),
      ('pg_get_statisticsobjdef_columns', 'pg_statistic_ext'),
      ('pg_get_statisticsobjdef_expressions', 'pg_statistic_ext'), ('pg_statistics_obj_is_visible', 'pg_statistic_ext'),
      ('pg_operator_is_visible', 'builtin'), ('pg_opclass_is_visible', 'builtin'), ('pg_opfamily_is_visible', 'builtin'),
      ('pg_collation_is_visible', 'builtin'), ('pg_conversion_is_visible', 'builtin'),
      ('pg_ts_config_is_visible', 'builtin'), ('pg_ts_dict_is_visible', 'builtin'),
      ('pg_ts_parser_is_visible', 'builtin'), ('pg_ts_template_is_visible', 'builtin'),
      ('pg_describe_object', 'none'), ('shobj_description', 'none'), ('obj_description', 'described')
      UNION ALL
      -- The statistics of one relation, by its number.
      SELECT DISTINCT proname::text, 'pg_class' FROM pg_proc
      WHERE proname ~ '^pg_stat_get_(xact_)?(numscans|lastscan|tuples_\w+|blocks_\w+|live_tuples|dead_tuples|mod_since_analyze|ins_since_vacuum|last_(auto)?(analyze|vacuum)_time|(auto)?(analyze|vacuum)_count|total_(auto)?(analyze|vacuum)_time)$'
    ) AS v(name, catalog)
    JOIN pg_proc p ON p.proname = v.name AND p.pronamespace = 'pg_catalog'::regnamespace
  LOOP
    logical := f.result = 'text';
    guard := CASE
      WHEN f.catalog = 'text' THEN 'true'
      -- An expression over the columns of a relation, or over none.
      WHEN f.proname = 'pg_get_expr' THEN 'palisade.sees(''pg_class'', $2)'
      -- PostgreSQL's own relations are everybody's: their sizes tell of all tenants.
      WHEN f.proname ~ '_size$|^pg_stat_get_' THEN '$1::pg_catalog.oid >= 16384 AND palisade.sees(''pg_class'', $1::pg_catalog.oid)'
      WHEN f.catalog = 'none' THEN 'false'
      -- A name instead of a number is found through the session's own rights.
      WHEN f.first = 'text'::regtype THEN 'palisade.sees(''pg_class'', pg_catalog.to_regclass(palisade.physical($1))::pg_catalog.oid)'
      WHEN f.catalog = 'described' THEN CASE WHEN f.pronargs = 2 THEN 'palisade.sees($2::pg_catalog.text, $1)' ELSE '$1 < 16384' END
      ELSE format('palisade.sees(%L, $1::pg_catalog.oid)', f.catalog) END;
    call := format('pg_catalog.%I(%s)', f.proname,
      (SELECT string_agg(CASE WHEN n = 1 AND f.first = 'text'::regtype THEN 'palisade.physical($1)' ELSE '$' || n END, ', ')
       FROM generate_series(1, f.pronargs) n));
    IF logical THEN call := format('palisade.logical(%s)', call); END IF;
    -- Those that read the raw catalogs by queries of their own need their owner's rights to do so. The path stays the
    -- session's: definitions leave out what is on it.
    EXECUTE format('CREATE OR REPLACE FUNCTION palisade.%I(%s) RETURNS %s LANGUAGE sql STABLE %s AS %L',
      f.proname, f.arguments, f.result,
      CASE WHEN f.proname IN ('pg_get_viewdef', 'pg_get_ruledef', 'col_description', 'obj_description')
        THEN 'SECURITY DEFINER' ELSE 'SECURITY INVOKER' END, format('SELECT CASE WHEN %s THEN %s END', guard, call));
  END LOOP;
END $functions$;

-- A type that is not in sight is written as PostgreSQL writes one that does not exist.
CREATE OR REPLACE FUNCTION palisade.format_type(type_oid oid, typemod integer) RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT CASE WHEN $1 IS NULL THEN NULL WHEN palisade.sees('pg_type', $1)
     THEN palisade.logical(pg_catalog.format_type($1, $2)) ELSE '???' END $$;
CREATE OR REPLACE FUNCTION palisade.pg_get_userbyid(role oid) RETURNS name LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT CASE WHEN role = 10 THEN 'postgres' ELSE coalesce(
       (SELECT substring(rolname FROM '^t_[a-z2-7]{20}_(?:l_)?(.*)$') FROM pg_roles
        WHERE oid = role AND rolname LIKE replace(palisade.tenant_schema(), '_', '\_') || '\_%'),
       'unknown (OID=' || role || ')') END::name $$;

CREATE OR REPLACE FUNCTION palisade.oidvectortypes(types oidvector) RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT coalesce(pg_catalog.string_agg(palisade.format_type(t, NULL), ', ' ORDER BY n), '')
     FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY AS a(t, n) $$;

-- Functions that take a relation or another object whose number may be written as a plain integer: their arguments are
-- the domains that refuse a number that is not in sight. The names of constants are judged by wall 1, which then leaves
-- the function as it is.
DO $guarded$
DECLARE
  f record;
BEGIN
  FOR f IN
    SELECT p.oid, p.proname, p.pronargs, p.provolatile, p.proretset, p.proisstrict, format_type(p.prorettype, NULL) AS result,
      (SELECT string_agg(CASE WHEN t.typname ~ '^reg' THEN format('palisade.%I', t.typname) ELSE format_type(t.oid, NULL) END, ', ' ORDER BY n)
       FROM unnest(p.proargtypes) WITH ORDINALITY AS a(id, n) JOIN pg_type t ON t.oid = a.id) AS arguments
    FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('nextval', 'currval', 'setval',
      'to_tsvector', 'to_tsquery', 'plainto_tsquery', 'phraseto_tsquery', 'websearch_to_tsquery', 'ts_headline', 'json_to_tsvector',
      'jsonb_to_tsvector', 'pg_partition_root', 'pg_index_has_property', 'pg_index_column_has_property')
  LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION palisade.%I(%s) RETURNS %s LANGUAGE sql %s %s AS %L', f.proname, f.arguments, f.result,
      CASE f.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
      CASE WHEN f.proisstrict THEN 'STRICT' ELSE '' END,
      format('SELECT pg_catalog.%I(%s)', f.proname, (SELECT string_agg('$' || n, ', ') FROM generate_series(1, f.pronargs) n)));
  END LOOP;
END $guarded$;

-- A name that is computed: what is not in sight has no number, and a number is no name.
DO $found$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT * FROM (VALUES ('to_regclass', 'regclass'), ('to_regproc', 'regproc'), ('to_regprocedure', 'regprocedure'),
      ('to_regtype', 'regtype'), ('to_regnamespace', 'regnamespace'), ('to_regrole', 'regrole'), ('to_regcollation', 'regcollation')) AS v(name, type)
  LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION palisade.%1$I(text) RETURNS palisade.%2$I LANGUAGE plpgsql STABLE AS %3$L', f.name, f.type,
      format('DECLARE found palisade.%I; BEGIN
        IF $1 ~ ''^\s*\d+\s*$'' THEN RETURN NULL; END IF;
        found := pg_catalog.%I(%s);
        RETURN found;
      EXCEPTION WHEN insufficient_privilege OR undefined_object OR undefined_table OR undefined_function OR invalid_schema_name THEN
        RETURN NULL;
      END', f.type, f.name, CASE f.name WHEN 'to_regnamespace' THEN 'CASE $1 WHEN ''public'' THEN palisade.tenant_schema() ELSE $1 END'
        ELSE 'palisade.physical($1)' END));
  END LOOP;
END $found$;
CREATE OR REPLACE FUNCTION palisade.regclass(text) RETURNS palisade.regclass LANGUAGE sql STABLE STRICT AS
  $$ SELECT pg_catalog.regclass(palisade.physical($1)) $$;
CREATE OR REPLACE FUNCTION palisade.row_security_active(oid) RETURNS boolean LANGUAGE sql STABLE STRICT AS
  $$ SELECT CASE WHEN palisade.known('pg_class', $1) THEN pg_catalog.row_security_active($1) END $$;
CREATE OR REPLACE FUNCTION palisade.row_security_active(text) RETURNS boolean LANGUAGE sql STABLE STRICT AS
  $$ SELECT pg_catalog.row_security_active(palisade.physical($1)) $$;

-- What PostgreSQL 16 to 18 have more.
DO $newer$
BEGIN
  -- Of a type whose values are names it would tell whether somebody has such a name, so only PostgreSQL's own types are
  -- tried, and enumerations.
  IF to_regprocedure('pg_catalog.pg_input_is_valid(text, text)') IS NOT NULL THEN
    CREATE OR REPLACE FUNCTION palisade.pg_input_is_valid(string text, type text) RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $$
    DECLARE
      kind pg_catalog.oid := palisade.to_regtype($2)::pg_catalog.oid;
    BEGIN
      IF kind IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = 'type "' || $2 || '" does not exist';
      ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = kind AND (t.typtype = 'e' OR t.typtype IN ('b', 'r', 'm') AND t.oid < 16384
          AND t.typname !~ '^_?reg|^_?aclitem$' AND t.typcategory <> 'C')) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'permission denied for type ' || $2;
      END IF;
      RETURN pg_catalog.pg_input_is_valid($1, pg_catalog.format_type(kind, NULL));
    END $$;
  END IF;
  IF to_regprocedure('pg_catalog.pg_basetype(regtype)') IS NOT NULL THEN
    CREATE OR REPLACE FUNCTION palisade.pg_basetype(type regtype) RETURNS palisade.regtype LANGUAGE sql STABLE STRICT AS
      'SELECT CASE WHEN palisade.sees(''pg_type'', $1::pg_catalog.oid) THEN pg_catalog.pg_basetype($1) END';
    CREATE OR REPLACE FUNCTION palisade.to_regtypemod(text) RETURNS integer LANGUAGE sql STABLE STRICT AS
      'SELECT CASE WHEN palisade.to_regtype($1) IS NOT NULL THEN pg_catalog.to_regtypemod(palisade.physical($1)) END';
  END IF;
  IF to_regprocedure('pg_catalog.pg_get_sequence_data(regclass)') IS NOT NULL THEN
    CREATE OR REPLACE FUNCTION palisade.pg_get_sequence_data(sequence regclass, OUT last_value bigint, OUT is_called boolean)
      LANGUAGE sql STABLE AS 'SELECT s.last_value, s.is_called FROM pg_catalog.pg_get_sequence_data($1) s
        WHERE palisade.sees(''pg_class'', $1::pg_catalog.oid)';
  END IF;
END $newer$;

-- The types of a statement's parameters, by their numbers: asked by the proxy where a client names them.
CREATE OR REPLACE FUNCTION palisade.permit_types(types oid[]) RETURNS integer LANGUAGE sql STABLE AS
  $$ SELECT pg_catalog.count(*)::pg_catalog.int4 FROM pg_catalog.unnest($1) t WHERE palisade.known('pg_type', t) $$;

-- A snapshot in which other tenants' transactions have no part.
CREATE OR REPLACE FUNCTION palisade.pg_current_snapshot() RETURNS pg_snapshot LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  whole pg_snapshot := pg_current_snapshot();
  own text := replace(palisade.tenant_schema(), '_', '\_') || '\_%';
  running xid8[];
BEGIN
  SELECT coalesce(array_agg(x ORDER BY x), '{}') INTO running FROM pg_snapshot_xip(whole) x WHERE x::xid NOT IN (
    SELECT backend_xid FROM pg_stat_get_activity(NULL) a LEFT JOIN pg_roles r ON r.oid = a.usesysid
    WHERE backend_xid IS NOT NULL AND r.rolname NOT LIKE own);
  RETURN (coalesce(running[1], pg_snapshot_xmax(whole)) || ':' || pg_snapshot_xmax(whole) || ':' || array_to_string(running, ','))::pg_snapshot;
END $$;
CREATE OR REPLACE FUNCTION palisade.txid_current_snapshot() RETURNS txid_snapshot LANGUAGE sql STABLE AS
  $$ SELECT palisade.pg_current_snapshot()::pg_catalog.text::pg_catalog.txid_snapshot $$;

-- Whether a schema is another session's is nobody's business.
CREATE OR REPLACE FUNCTION palisade.pg_is_other_temp_schema(oid) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT false $$;

CREATE OR REPLACE FUNCTION palisade.pg_partition_ancestors(partitionid regclass, OUT relid regclass)
  RETURNS SETOF regclass LANGUAGE sql STABLE AS
  $$ SELECT a.relid FROM pg_catalog.pg_partition_ancestors($1) a WHERE palisade.sees('pg_class', $1::pg_catalog.oid) $$;
CREATE OR REPLACE FUNCTION palisade.pg_partition_tree(rootrelid regclass, OUT relid regclass, OUT parentrelid regclass,
    OUT isleaf boolean, OUT level integer) RETURNS SETOF record LANGUAGE sql STABLE AS
  $$ SELECT t.* FROM pg_catalog.pg_partition_tree($1) t WHERE palisade.sees('pg_class', $1::pg_catalog.oid) $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA palisade TO palisade_tenant;
