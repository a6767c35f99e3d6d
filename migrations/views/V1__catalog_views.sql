-- What tenants see instead of PostgreSQL's own catalogs: their own objects and PostgreSQL's, nothing else. Runs at every
-- start, as a superuser, in one transaction; safe to repeat. The proxy rewrites pg_catalog.x to palisade.x.
CREATE SCHEMA IF NOT EXISTS palisade;
CREATE SCHEMA IF NOT EXISTS palisade_info;
REVOKE ALL ON SCHEMA palisade, palisade_info FROM PUBLIC;
GRANT USAGE ON SCHEMA palisade, palisade_info TO palisade_tenant;

-- The tenant of this session, from the role that logged in: t_<id>_l_<kind>.
CREATE OR REPLACE FUNCTION palisade.tenant_schema() RETURNS name LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT substring(session_user FROM '^(t_[a-z2-7]{20})_l_')::name $$;

CREATE OR REPLACE FUNCTION palisade.tenant_database() RETURNS name LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT coalesce((SELECT slug::name FROM palisade_control.tenants
                      WHERE schema_name = substring(session_user FROM '^(t_[a-z2-7]{20})_l_')), current_database()) $$;

-- Schemas that all tenants share: those that are granted to palisade_tenant, ours left out.
CREATE OR REPLACE FUNCTION palisade.shared_namespaces() RETURNS SETOF oid LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT n.oid FROM pg_shdepend d JOIN pg_namespace n ON n.oid = d.objid WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = 'palisade_tenant'::regrole
       AND d.classid = 'pg_namespace'::regclass AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND n.nspname <> 'palisade' AND n.nspname NOT LIKE 'palisade\_%' $$;

-- Namespaces in sight: the tenant's own, the session's temporary one, the shared ones, and PostgreSQL's.
CREATE OR REPLACE FUNCTION palisade.namespaces() RETURNS oid[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT array_agg(oid) || pg_my_temp_schema() || ARRAY(SELECT palisade.shared_namespaces()) FROM pg_namespace
     WHERE nspname IN (substring(session_user FROM '^(t_[a-z2-7]{20})_l_'), 'pg_catalog', 'information_schema', 'pg_toast') $$;

CREATE OR REPLACE FUNCTION palisade.current_schema() RETURNS name LANGUAGE sql STABLE
  AS $$ SELECT 'public'::pg_catalog.name $$;
CREATE OR REPLACE FUNCTION palisade.current_schemas(boolean) RETURNS name[] LANGUAGE sql STABLE
  AS $$ SELECT CASE WHEN $1 THEN ARRAY['pg_catalog', 'public']::pg_catalog.name[] ELSE ARRAY['public']::pg_catalog.name[] END $$;
CREATE OR REPLACE FUNCTION palisade.current_database() RETURNS name LANGUAGE sql STABLE
  AS $$ SELECT palisade.tenant_database() $$;

-- `t_<id>_owner` and `t_<id>_l_owner` are `owner`, `t_<id>_l_app` is `app`; another name stays.
CREATE OR REPLACE FUNCTION palisade.role_name(physical name) RETURNS name LANGUAGE sql STABLE AS
  $$ SELECT coalesce(substring($1::pg_catalog.text FROM '^t_[a-z2-7]{20}_(?:l_)?(.*)$'), $1::pg_catalog.text)::pg_catalog.name $$;

-- A text with the tenant's own names.
CREATE OR REPLACE FUNCTION palisade.logical(text) RETURNS text LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT coalesce(regexp_replace(regexp_replace(regexp_replace(replace($1, palisade.tenant_schema() || '.', 'public.'),
       'palisade\.("?)((?:current|session)_user|current_role|user|current_database|current_schema)\1\(\)', '\2', 'gi'),
       '\mpalisade_info\.', 'information_schema.', 'gi'), '\mpalisade\.', '', 'gi'), $1) $$;

-- An access control list as texts with the tenant's names; items of other roles are left out, those of PUBLIC stay.
CREATE OR REPLACE FUNCTION palisade.acl(items aclitem[]) RETURNS text[] LANGUAGE sql STABLE AS
  $$ SELECT CASE WHEN $1 IS NOT NULL THEN ARRAY(
       SELECT pg_catalog.regexp_replace(i::pg_catalog.text, 't_[a-z2-7]{20}_(?:l_)?', '', 'g')
       FROM pg_catalog.unnest($1) WITH ORDINALITY AS a(i, n)
       WHERE i::pg_catalog.text !~ '^palisade_' ORDER BY n) END $$;

-- Makes a view, or puts another in its place. A view whose columns have changed is dropped first; one that a tenant's own
-- view stands on stays as it was.
CREATE OR REPLACE PROCEDURE palisade.make_view(name text, query text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_barrier) AS %s', name, query);
EXCEPTION WHEN invalid_table_definition THEN
  BEGIN
    EXECUTE format('DROP VIEW %s', name);
    EXECUTE format('CREATE VIEW %s WITH (security_barrier) AS %s', name, query);
  EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE WARNING 'the view % stays as an earlier release made it: other objects depend on it', name;
  END;
END $$;
REVOKE ALL ON PROCEDURE palisade.make_view(text, text) FROM PUBLIC;

-- One view a catalog: its columns as they are, its rows by a condition over `x`.
DO $views$
DECLARE
  seen text := '= ANY ((SELECT palisade.namespaces())::oid[])';
  rel text := 'EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = %s AND c.relnamespace ' || seen || ')';
  -- PostgreSQL's own objects belong to role 10.
  own_roles text := 'x.oid = 10 OR x.rolname LIKE replace(palisade.tenant_schema(), ''_'', ''\_'') || ''\_%'' AND x.rolname NOT LIKE ''%\_l\_owner''';
  item record;
  columns text;
BEGIN
  FOR item IN SELECT * FROM (VALUES
    ('pg_namespace', 'x.oid ' || seen),
    ('pg_class', 'x.relnamespace ' || seen),
    ('pg_type', 'x.typnamespace ' || seen),
    ('pg_proc', 'x.pronamespace ' || seen),
    ('pg_operator', 'x.oprnamespace ' || seen),
    ('pg_opclass', 'x.opcnamespace ' || seen),
    ('pg_opfamily', 'x.opfnamespace ' || seen),
    ('pg_collation', 'x.collnamespace ' || seen),
    ('pg_conversion', 'x.connamespace ' || seen),
    ('pg_constraint', 'x.connamespace ' || seen),
    ('pg_statistic_ext', 'x.stxnamespace ' || seen),
    ('pg_ts_config', 'x.cfgnamespace ' || seen),
    ('pg_ts_dict', 'x.dictnamespace ' || seen),
    ('pg_ts_parser', 'x.prsnamespace ' || seen),
    ('pg_ts_template', 'x.tmplnamespace ' || seen),
    ('pg_ts_config_map', 'EXISTS (SELECT FROM pg_catalog.pg_ts_config c WHERE c.oid = x.mapcfg AND c.cfgnamespace ' || seen || ')'),
    -- The types of a cast, the family of an operator: a new range type makes casts of its own.
    ('pg_cast', 'x.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid IN (x.castsource, x.casttarget) AND t.typnamespace ' || seen || ' AND t.oid >= 16384)'),
    ('pg_amop', 'x.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_opfamily f WHERE f.oid = x.amopfamily AND f.opfnamespace ' || seen || ' AND f.oid >= 16384)'),
    ('pg_amproc', 'x.oid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_opfamily f WHERE f.oid = x.amprocfamily AND f.opfnamespace ' || seen || ' AND f.oid >= 16384)'),
    ('pg_attribute', format(rel, 'x.attrelid')),
    ('pg_attrdef', format(rel, 'x.adrelid')),
    ('pg_index', format(rel, 'x.indexrelid')),
    ('pg_inherits', format(rel, 'x.inhrelid')),
    ('pg_partitioned_table', format(rel, 'x.partrelid')),
    ('pg_sequence', format(rel, 'x.seqrelid')),
    ('pg_trigger', format(rel, 'x.tgrelid')),
    ('pg_rewrite', format(rel, 'x.ev_class')),
    ('pg_policy', format(rel, 'x.polrelid')),
    ('pg_foreign_table', format(rel, 'x.ftrelid')),
    ('pg_enum', 'EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = x.enumtypid AND t.typnamespace ' || seen || ')'),
    ('pg_range', 'EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = x.rngtypid AND t.typnamespace ' || seen || ')'),
    ('pg_aggregate', 'EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.oid = x.aggfnoid AND p.pronamespace ' || seen || ')'),
    ('pg_description', 'x.objoid < 16384 OR (x.classoid = ''pg_catalog.pg_class''::pg_catalog.regclass AND ' || format(rel, 'x.objoid') || ')'),
    ('pg_depend', '(x.classid = ''pg_catalog.pg_class''::pg_catalog.regclass AND ' || format(rel, 'x.objid') || ')
                   OR (x.refclassid = ''pg_catalog.pg_class''::pg_catalog.regclass AND ' || format(rel, 'x.refobjid') || ')'),
    ('pg_tables', 'x.schemaname IN (palisade.tenant_schema(), ''pg_catalog'', ''information_schema'')'),
    ('pg_views', 'x.schemaname IN (palisade.tenant_schema(), ''pg_catalog'', ''information_schema'')'),
    ('pg_matviews', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_indexes', 'x.schemaname IN (palisade.tenant_schema(), ''pg_catalog'')'),
    ('pg_sequences', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_policies', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_rules', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_stats', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_stat_user_tables', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_stat_all_tables', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_stat_user_indexes', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_stat_all_indexes', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_statio_user_tables', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_statio_all_tables', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_statio_user_indexes', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_statio_all_indexes', 'x.schemaname = palisade.tenant_schema()'),
    ('pg_roles', own_roles),
    ('pg_user', 'x.usename LIKE replace(palisade.tenant_schema(), ''_'', ''\_'') || ''\_%'''),
    ('pg_largeobject_metadata', 'false'),
    ('pg_database', 'x.datname = current_database()'),
    ('pg_tablespace', 'x.oid < 16384'),
    ('pg_extension', 'x.extnamespace ' || seen),
    ('pg_stat_activity', 'x.pid = pg_catalog.pg_backend_pid()'),
    ('pg_locks', 'x.pid = pg_catalog.pg_backend_pid()'),
    ('pg_stat_ssl', 'x.pid = pg_catalog.pg_backend_pid()'),
    ('pg_init_privs', 'x.objoid < 16384'),
    -- Nothing in these can be a tenant's: there, and empty.
    ('pg_group', 'false'), ('pg_auth_members', 'false'), ('pg_publication', 'false'), ('pg_publication_rel', 'false'),
    ('pg_publication_namespace', 'false'), ('pg_publication_tables', 'false'), ('pg_subscription', 'false'),
    ('pg_foreign_server', 'false'), ('pg_foreign_data_wrapper', 'false'), ('pg_user_mappings', 'false'),
    ('pg_event_trigger', 'false'), ('pg_default_acl', 'false'), ('pg_seclabel', 'false'), ('pg_seclabels', 'false'),
    ('pg_shdescription', 'false'), ('pg_shdepend', 'false'), ('pg_db_role_setting', 'false'), ('pg_transform', 'false')
  ) AS v(name, condition)
  LOOP
    CONTINUE WHEN to_regclass('pg_catalog.' || item.name) IS NULL;
    SELECT string_agg(CASE
        WHEN a.attname IN ('schemaname', 'nspname') AND t.typname = 'name'
          THEN format('CASE WHEN x.%1$I = palisade.tenant_schema() THEN ''public'' ELSE x.%1$I END::name AS %1$I', a.attname)
        WHEN a.attname IN ('datname', 'database') AND t.typname = 'name'
          THEN format('palisade.tenant_database() AS %I', a.attname)
        WHEN a.attname IN ('rolname', 'usename', 'tableowner', 'viewowner', 'matviewowner', 'sequenceowner') AND t.typname = 'name'
          THEN format('palisade.role_name(x.%1$I) AS %1$I', a.attname)
        WHEN a.attname = 'rolcanlogin'
          THEN 'x.rolcanlogin OR x.rolname LIKE ''t\_%\_owner'' AS rolcanlogin'
        WHEN a.attname IN ('definition', 'indexdef', 'qual', 'with_check', 'prosrc') AND t.typname = 'text'
          THEN format('palisade.logical(x.%1$I) AS %1$I', a.attname)
        -- PostgreSQL's own objects have the rights that it gave them, whatever we took away: dumps would repeat it.
        WHEN item.name IN ('pg_class', 'pg_attribute') AND t.typname = '_aclitem'
          THEN format('CASE WHEN %1$s < 16384 THEN (SELECT palisade.acl(i.initprivs) FROM pg_catalog.pg_init_privs i
               WHERE i.objoid = %1$s AND i.classoid = ''pg_catalog.pg_class''::pg_catalog.regclass AND i.objsubid = %2$s)
               ELSE palisade.acl(x.%3$I) END AS %3$I',
            CASE item.name WHEN 'pg_class' THEN 'x.oid' ELSE 'x.attrelid' END,
            CASE item.name WHEN 'pg_class' THEN '0' ELSE 'x.attnum' END, a.attname)
        WHEN t.typname = '_aclitem' THEN format('palisade.acl(x.%1$I) AS %1$I', a.attname)
        WHEN t.typname = 'anyarray' THEN format('x.%1$I::text AS %1$I', a.attname)
        ELSE format('x.%I', a.attname) END, ', ' ORDER BY (a.attnum < 0), a.attnum)
      INTO columns
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = to_regclass('pg_catalog.' || item.name) AND NOT a.attisdropped
        -- The system columns that tools ask for stand as ordinary ones behind the others (views in pg_catalog have none).
        AND (a.attnum > 0 OR a.attname IN ('tableoid', 'xmin'));
    CALL palisade.make_view(format('palisade.%I', item.name), format('SELECT %s FROM pg_catalog.%I x WHERE %s',
      columns, item.name, item.condition));
    EXECUTE format('GRANT SELECT ON palisade.%I TO palisade_tenant', item.name);
  END LOOP;
END $views$;

-- information_schema shows by rights already; its schema and catalog columns become the tenant's own names.
DO $info$
DECLARE
  view record;
  columns text;
  condition text;
BEGIN
  FOR view IN SELECT c.oid, c.relname FROM pg_class c WHERE c.relnamespace = 'information_schema'::regnamespace
    AND c.relkind = 'v' AND c.relname NOT LIKE '\_%' LOOP
    SELECT string_agg(CASE
        WHEN attname LIKE '%\_schema' OR attname = 'schema_name'
          THEN format('CASE WHEN x.%1$I::text = palisade.tenant_schema()::text THEN ''public'' ELSE x.%1$I::text END AS %1$I', attname)
        WHEN attname IN ('grantor', 'grantee', 'schema_owner', 'role_name', 'enabled_role')
          THEN format('palisade.role_name(x.%1$I::name)::information_schema.sql_identifier AS %1$I', attname)
        WHEN attname IN ('view_definition', 'column_default', 'check_clause', 'action_statement', 'action_condition',
            'routine_definition', 'generation_expression', 'domain_default', 'parameter_default')
          THEN format('palisade.logical(x.%1$I::text)::information_schema.character_data AS %1$I', attname)
        WHEN attname LIKE '%catalog%' AND attname <> 'character_set_catalog'
          THEN format('CASE WHEN x.%1$I IS NOT NULL THEN palisade.tenant_database()::text END AS %1$I', attname)
        ELSE format('x.%I', attname) END, ', ' ORDER BY attnum),
      coalesce(string_agg(CASE WHEN attname IN ('table_schema', 'schema_name', 'specific_schema', 'constraint_schema',
          'sequence_schema', 'domain_schema', 'udt_schema', 'trigger_schema', 'object_schema')
        THEN format('(x.%1$I IS NULL OR x.%1$I::text IN (palisade.tenant_schema()::text, ''pg_catalog'', ''information_schema''))',
          attname) END, ' AND '), 'true')
      INTO columns, condition
      FROM pg_attribute WHERE attrelid = view.oid AND attnum > 0 AND NOT attisdropped;
    CALL palisade.make_view(format('palisade_info.%I', view.relname), format('SELECT %s FROM information_schema.%I x WHERE %s',
      columns, view.relname, condition));
    EXECUTE format('GRANT SELECT ON palisade_info.%I TO palisade_tenant', view.relname);
  END LOOP;
END $info$;
