-- Replacements of the catalog functions that tell about objects by number: they answer as for a number that nobody
-- has, and with the tenant's own names. Runs at every start, in one transaction; safe to repeat.
CREATE OR REPLACE FUNCTION palisade.sees(catalog text, object oid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE catalog
    WHEN 'pg_class' THEN EXISTS (SELECT FROM pg_class WHERE oid = object AND relnamespace = ANY (palisade.namespaces()))
    WHEN 'pg_proc' THEN EXISTS (SELECT FROM pg_proc WHERE oid = object AND pronamespace = ANY (palisade.namespaces()))
    WHEN 'pg_type' THEN EXISTS (SELECT FROM pg_type WHERE oid = object AND typnamespace = ANY (palisade.namespaces()))
    WHEN 'pg_constraint' THEN EXISTS (SELECT FROM pg_constraint WHERE oid = object AND connamespace = ANY (palisade.namespaces()))
    WHEN 'pg_namespace' THEN object = ANY (palisade.namespaces())
    WHEN 'pg_trigger' THEN EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                                   WHERE t.oid = object AND c.relnamespace = ANY (palisade.namespaces()))
    WHEN 'pg_rewrite' THEN EXISTS (SELECT FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
                                   WHERE r.oid = object AND c.relnamespace = ANY (palisade.namespaces()))
    WHEN 'pg_statistic_ext' THEN EXISTS (SELECT FROM pg_statistic_ext WHERE oid = object AND stxnamespace = ANY (palisade.namespaces()))
    ELSE object < 16384
  END $$;

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
      WHERE proname ~ '^pg_stat_get_(xact_)?(numscans|tuples_\w+|blocks_\w+|live_tuples|dead_tuples|mod_since_analyze|ins_since_vacuum|last_(auto)?(analyze|vacuum)_time|(auto)?(analyze|vacuum)_count)$'
    ) AS v(name, catalog)
    JOIN pg_proc p ON p.proname = v.name AND p.pronamespace = 'pg_catalog'::regnamespace
  LOOP
    logical := f.result = 'text';
    guard := CASE
      WHEN f.catalog IN ('any', 'text') THEN 'true'
      WHEN f.catalog = 'none' THEN 'false'
      -- A name instead of a number is found through the session's own rights.
      WHEN f.first = 'text'::regtype THEN 'palisade.sees(''pg_class'', pg_catalog.to_regclass($1)::pg_catalog.oid)'
      WHEN f.catalog = 'described' THEN CASE WHEN f.pronargs = 2 THEN 'palisade.sees($2::pg_catalog.text, $1)' ELSE '$1 < 16384' END
      ELSE format('palisade.sees(%L, $1::pg_catalog.oid)', f.catalog) END;
    call := format('pg_catalog.%I(%s)', f.proname,
      (SELECT string_agg('$' || n, ', ') FROM generate_series(1, f.pronargs) n));
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

CREATE OR REPLACE FUNCTION palisade.pg_partition_ancestors(partitionid regclass, OUT relid regclass)
  RETURNS SETOF regclass LANGUAGE sql STABLE AS
  $$ SELECT a.relid FROM pg_catalog.pg_partition_ancestors($1) a WHERE palisade.sees('pg_class', $1::pg_catalog.oid) $$;
CREATE OR REPLACE FUNCTION palisade.pg_partition_tree(rootrelid regclass, OUT relid regclass, OUT parentrelid regclass,
    OUT isleaf boolean, OUT level integer) RETURNS SETOF record LANGUAGE sql STABLE AS
  $$ SELECT t.* FROM pg_catalog.pg_partition_tree($1) t WHERE palisade.sees('pg_class', $1::pg_catalog.oid) $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA palisade TO palisade_tenant;
