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
     WHERE nspname IN (substring(session_user FROM '^(t_[a-z2-7]{20})_l_'), 'pg_catalog', 'information_schema') $$;

-- The names of those schemas. Asked once a query by every view of information_schema: not once for each tenant's schema.
CREATE OR REPLACE FUNCTION palisade.schema_names() RETURNS name[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT array_agg(n.nspname) FROM unnest(palisade.namespaces()) o JOIN pg_namespace n ON n.oid = o $$;

-- PostgreSQL's own relations, for which views of ours may stand.
CREATE OR REPLACE FUNCTION palisade.catalog_names() RETURNS name[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT array_agg(relname) FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') $$;

-- The relations in sight that are not PostgreSQL's own, with their indexes and TOAST tables. Found through pg_depend and
-- by their numbers: pg_class has no index on relnamespace, and other tenants' tables are many.
CREATE OR REPLACE FUNCTION palisade.relations() RETURNS oid[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
  WITH spaces AS (SELECT n FROM unnest(palisade.namespaces()) n WHERE n >= 16384),
  named AS MATERIALIZED (SELECT d.classid, d.objid FROM spaces JOIN pg_depend d
    ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass)),
  tables AS MATERIALIZED (SELECT objid AS id FROM named WHERE classid = 'pg_class'::regclass
    UNION ALL SELECT t.typrelid FROM named JOIN pg_type t ON t.oid = objid WHERE classid = 'pg_type'::regclass AND t.typrelid <> 0),
  stored AS MATERIALIZED (SELECT id FROM tables UNION ALL
    SELECT c.reltoastrelid FROM tables JOIN pg_class c ON c.oid = id WHERE c.reltoastrelid <> 0)
  SELECT coalesce(array_agg(id), '{}') FROM (SELECT id FROM stored UNION SELECT i.indexrelid FROM stored JOIN pg_index i ON i.indrelid = id) r $$;

-- Our own types that tenants meet: those domains, and their arrays.
CREATE OR REPLACE FUNCTION palisade.own_types() RETURNS SETOF oid LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS
  $$ SELECT unnest(ARRAY[t.oid, t.typarray]) FROM pg_type t WHERE t.typnamespace = 'palisade'::regnamespace AND t.typtype = 'd' $$;

-- The types in sight that are not PostgreSQL's own, with those that PostgreSQL makes beside them: rows, arrays, multiranges.
CREATE OR REPLACE FUNCTION palisade.types() RETURNS oid[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
  WITH made AS MATERIALIZED (SELECT d.objid AS id FROM unnest(palisade.namespaces()) n JOIN pg_depend d
    ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n AND d.classid = 'pg_type'::regclass WHERE n >= 16384),
  base AS MATERIALIZED (SELECT id FROM made UNION SELECT r.rngmultitypid FROM made JOIN pg_range r ON r.rngtypid = id
    UNION SELECT c.reltype FROM unnest(palisade.relations()) o JOIN pg_class c ON c.oid = o WHERE c.reltype <> 0)
  SELECT coalesce(array_agg(id), '{}') FROM (SELECT id FROM base UNION SELECT t.typarray FROM base JOIN pg_type t ON t.oid = id
    UNION SELECT palisade.own_types()) a $$;

-- The functions in sight that are not PostgreSQL's own.
CREATE OR REPLACE FUNCTION palisade.functions() RETURNS oid[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(d.objid), '{}') FROM unnest(palisade.namespaces()) n JOIN pg_depend d
    ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n AND d.classid = 'pg_proc'::regclass WHERE n >= 16384 $$;

-- What else is in sight and is not PostgreSQL's own: schemas, constraints, triggers, rules, policies, and what stands in a
-- schema besides relations, types and functions. The catalog's number above, the object's below.
CREATE OR REPLACE FUNCTION palisade.others() RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
  WITH spaces AS MATERIALIZED (SELECT n FROM unnest(palisade.namespaces()) n WHERE n >= 16384),
  tables AS MATERIALIZED (SELECT unnest(palisade.relations()) AS id)
  SELECT coalesce(array_agg(catalog::oid::bigint << 32 | id::bigint), '{}') FROM (
    SELECT 'pg_namespace'::regclass AS catalog, n AS id FROM spaces
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM tables JOIN pg_constraint c ON c.conrelid = id
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM unnest(palisade.types()) t JOIN pg_constraint c ON c.contypid = t
    UNION ALL SELECT 'pg_trigger'::regclass, t.oid FROM tables JOIN pg_trigger t ON t.tgrelid = id
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM tables JOIN pg_rewrite r ON r.ev_class = id
    UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM tables JOIN pg_policy p ON p.polrelid = id
    UNION ALL SELECT d.classid::regclass, d.objid FROM spaces JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n
      WHERE d.classid NOT IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass)
  ) o $$;

-- Whether an object of a catalog is in sight, by its number. What PostgreSQL was made with has numbers below 16384. In
-- PL/pgSQL, which keeps the plans of what it asks: as SQL it was planned whole for each call from another function.
CREATE OR REPLACE FUNCTION palisade.sees(catalog text, object oid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF object < 16384 THEN
    RETURN true;
  END IF;
  CASE catalog
    WHEN 'pg_class' THEN RETURN EXISTS (SELECT FROM pg_class c WHERE c.oid = object AND (c.relnamespace = ANY (palisade.namespaces())
      -- A TOAST table is named by its table's number.
      OR c.relnamespace = 99 AND EXISTS (SELECT FROM pg_class t WHERE t.oid = substring(c.relname FROM '^pg_toast_(\d{1,10})')::oid
           AND t.relnamespace = ANY (palisade.namespaces()))));
    WHEN 'pg_proc' THEN RETURN EXISTS (SELECT FROM pg_proc WHERE oid = object AND pronamespace = ANY (palisade.namespaces()));
    WHEN 'pg_type' THEN RETURN EXISTS (SELECT FROM pg_type WHERE oid = object AND typnamespace = ANY (palisade.namespaces()))
      OR EXISTS (SELECT FROM palisade.own_types() o WHERE o = object);
    WHEN 'pg_constraint' THEN RETURN EXISTS (SELECT FROM pg_constraint WHERE oid = object AND connamespace = ANY (palisade.namespaces()));
    WHEN 'pg_namespace' THEN RETURN coalesce(object = ANY (palisade.namespaces()), false);
    WHEN 'pg_trigger' THEN RETURN EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                                          WHERE t.oid = object AND c.relnamespace = ANY (palisade.namespaces()));
    WHEN 'pg_rewrite' THEN RETURN EXISTS (SELECT FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
                                          WHERE r.oid = object AND c.relnamespace = ANY (palisade.namespaces()));
    WHEN 'pg_statistic_ext' THEN RETURN EXISTS (SELECT FROM pg_statistic_ext WHERE oid = object AND stxnamespace = ANY (palisade.namespaces()));
    WHEN 'pg_collation' THEN RETURN EXISTS (SELECT FROM pg_collation WHERE oid = object AND collnamespace = ANY (palisade.namespaces()));
    WHEN 'pg_operator' THEN RETURN EXISTS (SELECT FROM pg_operator WHERE oid = object AND oprnamespace = ANY (palisade.namespaces()));
    WHEN 'pg_ts_config' THEN RETURN EXISTS (SELECT FROM pg_ts_config WHERE oid = object AND cfgnamespace = ANY (palisade.namespaces()));
    WHEN 'pg_ts_dict' THEN RETURN EXISTS (SELECT FROM pg_ts_dict WHERE oid = object AND dictnamespace = ANY (palisade.namespaces()));
    WHEN 'pg_authid' THEN RETURN EXISTS (SELECT FROM pg_roles WHERE oid = object
      AND rolname LIKE replace(palisade.tenant_schema(), '_', '\_') || '\_%');
    ELSE RETURN false;
  END CASE;
END $$;

-- Types whose values are numbers of objects and are shown as names: PostgreSQL shows the name of any object to anybody.
-- Wall 1 puts these domains in their place; a number that is not in sight is refused like one that nobody has.
CREATE OR REPLACE FUNCTION palisade.known(catalog text, object oid) RETURNS boolean LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF palisade.sees(catalog, object) THEN
    RETURN true;
  END IF;
  RAISE EXCEPTION USING
    ERRCODE = CASE catalog WHEN 'pg_class' THEN '42P01' WHEN 'pg_proc' THEN '42883' WHEN 'pg_namespace' THEN '3F000' ELSE '42704' END,
    MESSAGE = CASE catalog WHEN 'pg_class' THEN 'relation' WHEN 'pg_proc' THEN 'function' WHEN 'pg_namespace' THEN 'schema'
      WHEN 'pg_authid' THEN 'role' WHEN 'pg_type' THEN 'type' WHEN 'pg_collation' THEN 'collation' WHEN 'pg_operator' THEN 'operator'
      WHEN 'pg_ts_dict' THEN 'text search dictionary' ELSE 'text search configuration' END || ' with OID ' || object || ' does not exist';
END $$;

DO $domains$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM (VALUES ('regclass', 'pg_class'), ('regproc', 'pg_proc'), ('regprocedure', 'pg_proc'), ('regtype', 'pg_type'),
      ('regnamespace', 'pg_namespace'), ('regrole', 'pg_authid'), ('regcollation', 'pg_collation'), ('regoper', 'pg_operator'),
      ('regoperator', 'pg_operator'), ('regconfig', 'pg_ts_config'), ('regdictionary', 'pg_ts_dict')) AS v(name, catalog)
  LOOP
    CONTINUE WHEN to_regtype('palisade.' || item.name) IS NOT NULL;
    EXECUTE format('CREATE DOMAIN palisade.%1$I AS pg_catalog.%1$I CONSTRAINT known CHECK (VALUE::pg_catalog.oid < 16384
      OR palisade.known(%2$L, VALUE::pg_catalog.oid))', item.name, item.catalog);
    EXECUTE format('GRANT USAGE ON TYPE palisade.%I TO palisade_tenant', item.name);
  END LOOP;
END $domains$;

-- A name as the database knows it: the tenant calls its schema `public`, and its database by the tenant's name. Works on
-- what a name can hold before the schema: the database, nothing, or the beginning of a list of argument types.
CREATE OR REPLACE FUNCTION palisade.physical(name text) RETURNS text LANGUAGE sql STABLE STRICT AS
  $$ SELECT pg_catalog.regexp_replace(
       CASE WHEN $1 ~ '^\s*(?:"[^"]+"|[\w$]+)\s*\.\s*"?[pP][uU][bB][lL][iI][cC]"?\s*\.'
              AND pg_catalog.btrim(pg_catalog.split_part($1, '.', 1), ' "') = palisade.tenant_database()
            THEN pg_catalog.substr($1, pg_catalog.strpos($1, '.') + 1) ELSE $1 END,
       '(^|[(,])(\s*)(?:"public"|[pP][uU][bB][lL][iI][cC])\s*\.', '\1\2' || palisade.tenant_schema() || '.', 'g') $$;

-- On its way from any type to one whose values are numbers of objects, something computed is this: wall 1 puts
-- `::palisade.named` before the type.
DO $named$
DECLARE
  item record;
BEGIN
  IF to_regtype('palisade.named') IS NOT NULL THEN
    RETURN;
  END IF;
  CREATE TYPE palisade.named AS (name text, number oid);
  GRANT USAGE ON TYPE palisade.named TO palisade_tenant;
  FOR item IN SELECT DISTINCT castsource::regtype AS type FROM pg_cast WHERE castsource <> ALL ('{text,varchar,bpchar,name}'::regtype[])
      AND casttarget::regtype::text IN ('regclass', 'regproc', 'regprocedure', 'regtype', 'regnamespace', 'regrole', 'regcollation',
        'regoper', 'regoperator', 'regconfig', 'regdictionary')
  LOOP
    EXECUTE format('CREATE FUNCTION palisade.named(%s) RETURNS palisade.named LANGUAGE sql IMMUTABLE STRICT AS %L',
      item.type, 'SELECT ROW(NULL, $1::pg_catalog.oid)::palisade.named');
    EXECUTE format('CREATE CAST (%s AS palisade.named) WITH FUNCTION palisade.named(%1$s)', item.type);
  END LOOP;
  FOR item IN SELECT unnest('{text,varchar,bpchar,name}'::regtype[]) AS type LOOP
    EXECUTE format('CREATE FUNCTION palisade.named(%s) RETURNS palisade.named LANGUAGE sql IMMUTABLE STRICT AS %L',
      item.type, 'SELECT ROW($1::pg_catalog.text, NULL)::palisade.named');
    EXECUTE format('CREATE CAST (%s AS palisade.named) WITH FUNCTION palisade.named(%1$s)', item.type);
  END LOOP;
  FOR item IN SELECT unnest('{regclass,regproc,regprocedure,regtype,regnamespace,regrole,regcollation,regoper,regoperator,regconfig,regdictionary}'::regtype[]) AS type LOOP
    EXECUTE format('CREATE FUNCTION palisade.named_as_%s(palisade.named) RETURNS pg_catalog.%1$s LANGUAGE sql STABLE STRICT AS %L', item.type,
      format('SELECT CASE WHEN ($1).number IS NULL THEN (%s)::pg_catalog.text::pg_catalog.%s ELSE ($1).number::pg_catalog.%2$s END',
        CASE item.type WHEN 'regnamespace'::regtype THEN 'CASE ($1).name WHEN ''public'' THEN palisade.tenant_schema() ELSE ($1).name END'
          ELSE 'palisade.physical(($1).name)' END, item.type));
    EXECUTE format('CREATE CAST (palisade.named AS pg_catalog.%s) WITH FUNCTION palisade.named_as_%1$s(palisade.named)', item.type);
  END LOOP;
END $named$;

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
  $$ SELECT coalesce(regexp_replace(regexp_replace(regexp_replace(replace(replace($1, '::palisade.named', ''), palisade.tenant_schema() || '.', 'public.'),
       'palisade\.("?)((?:current|session)_user|current_role|user|current_database|current_schema)\1\(\)', '\2', 'gi'),
       '\mpalisade_info\.', 'information_schema.', 'gi'), '\mpalisade\.', '', 'gi'), $1) $$;

-- An access control list as texts with the tenant's names; items of other roles and of an operator's own role kinds are
-- left out: a dump could not give them again. Those of PUBLIC stay.
CREATE OR REPLACE FUNCTION palisade.acl(items aclitem[]) RETURNS text[] LANGUAGE sql STABLE AS
  $$ SELECT CASE WHEN $1 IS NOT NULL THEN ARRAY(
       SELECT pg_catalog.regexp_replace(i::pg_catalog.text, 't_[a-z2-7]{20}_(?:l_)?', '', 'g')
       FROM pg_catalog.unnest($1) WITH ORDINALITY AS a(i, n)
       WHERE i::pg_catalog.text !~ '^palisade_'
         AND i::pg_catalog.text !~ '^"?t_[a-z2-7]{20}_l_(?!(owner|app|readonly)"?=)' ORDER BY n) END $$;

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

-- The definitions of views and rules, by their names.
CREATE OR REPLACE FUNCTION palisade.view_definition(space name, view name) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
  $$ SELECT palisade.logical(pg_catalog.pg_get_viewdef(c.oid)) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND n.oid = ANY (palisade.namespaces()) $$;
CREATE OR REPLACE FUNCTION palisade.rule_definition(space name, relation name, rule name) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
  $$ SELECT palisade.logical(pg_catalog.pg_get_ruledef(r.oid)) FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND r.rulename = $3 AND n.oid = ANY (palisade.namespaces()) $$;

-- Where a foreign key's column stands in the key that it refers to: information_schema's own function asks as whoever asks.
CREATE OR REPLACE FUNCTION palisade.unique_position(space name, relation name, con name, ordinal integer) RETURNS integer
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
  $$ SELECT k.position::integer FROM pg_namespace n JOIN pg_constraint c ON c.connamespace = n.oid JOIN pg_class r ON r.oid = c.conrelid
       JOIN pg_index i ON i.indexrelid = c.conindid, LATERAL unnest(i.indkey) WITH ORDINALITY k (number, position)
     WHERE n.nspname = $1 AND r.relname = $2 AND c.conname = $3 AND c.contype = 'f' AND k.number = c.confkey[$4]
       AND n.oid = ANY (palisade.namespaces()) $$;

-- One view a catalog: its columns as they are, its rows by a condition over `x`. What is the same for all rows is asked for
-- once, as a sub-select: a function for each row and column made `information_schema.routines` ten times as slow as
-- PostgreSQL's own.
DO $views$
DECLARE
  seen text := '= ANY ((SELECT palisade.namespaces())::oid[])';
  type text := '(%1$s < 16384 OR %1$s = ANY ((SELECT palisade.types())::oid[]))';
  func text := '(%1$s < 16384 OR %1$s = ANY ((SELECT palisade.functions())::oid[]))';
  rel text := '(%1$s < 16384 OR %1$s = ANY ((SELECT palisade.relations())::oid[]))';
  -- PostgreSQL's own objects belong to role 10.
  own_roles text := 'x.oid = 10 OR x.rolname LIKE replace((SELECT palisade.tenant_schema()), ''_'', ''\_'') || ''\_%'' AND x.rolname NOT LIKE ''%\_l\_owner''';
  -- A text with the tenant's own names; most have none to be replaced.
  own_words text := 'CASE WHEN x.%1$I ~* ''palisade|t_[a-z2-7]{20}\.'' THEN palisade.logical(x.%1$I::text)::%2$s ELSE x.%1$I END AS %1$I';
  item record;
  columns text;
BEGIN
  FOR item IN SELECT * FROM (VALUES
    ('pg_namespace', 'x.oid ' || seen || ' OR x.oid = 99'),
    ('pg_class', format(rel, 'x.oid')),
    ('pg_type', format(type, 'x.oid')),
    ('pg_proc', format(func, 'x.oid')),
    ('pg_operator', 'x.oprnamespace ' || seen),
    ('pg_opclass', 'x.opcnamespace ' || seen),
    ('pg_opfamily', 'x.opfnamespace ' || seen),
    ('pg_collation', 'x.collnamespace ' || seen),
    ('pg_conversion', 'x.connamespace ' || seen),
    ('pg_constraint', 'x.oid < 16384 OR x.conrelid = ANY ((SELECT palisade.relations())::oid[]) OR x.conrelid = 0 AND x.contypid = ANY ((SELECT palisade.types())::oid[])'),
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
    ('pg_enum', format(type, 'x.enumtypid')),
    ('pg_range', format(type, 'x.rngtypid')),
    ('pg_aggregate', format(func, 'x.aggfnoid::pg_catalog.oid')),
    ('pg_description', 'x.objoid < 16384 OR (x.classoid = ''pg_catalog.pg_class''::pg_catalog.regclass AND ' || format(rel, 'x.objoid') || ')
                   OR (x.classoid = ''pg_catalog.pg_proc''::pg_catalog.regclass AND ' || format(func, 'x.objoid') || ')
                   OR (x.classoid = ''pg_catalog.pg_type''::pg_catalog.regclass AND ' || format(type, 'x.objoid') || ')
                   OR (x.classoid::bigint << 32 | x.objoid::bigint) = ANY ((SELECT palisade.others())::bigint[])'),
    ('pg_depend', '(x.classid = ''pg_catalog.pg_class''::pg_catalog.regclass AND ' || format(rel, 'x.objid') || ')
                   OR (x.refclassid = ''pg_catalog.pg_class''::pg_catalog.regclass AND ' || format(rel, 'x.refobjid') || ')
                   OR (x.classid = ''pg_catalog.pg_proc''::pg_catalog.regclass AND ' || format(func, 'x.objid') || ')
                   OR (x.classid = ''pg_catalog.pg_type''::pg_catalog.regclass AND ' || format(type, 'x.objid') || ')'),
    ('pg_tables', 'x.schemaname IN ((SELECT palisade.tenant_schema()), ''pg_catalog'', ''information_schema'')'),
    ('pg_views', 'x.schemaname IN ((SELECT palisade.tenant_schema()), ''pg_catalog'', ''information_schema'')'),
    ('pg_matviews', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_indexes', 'x.schemaname IN ((SELECT palisade.tenant_schema()), ''pg_catalog'')'),
    ('pg_sequences', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_policies', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_rules', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_stats', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_stat_user_tables', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_stat_all_tables', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_stat_user_indexes', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_stat_all_indexes', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_statio_user_tables', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_statio_all_tables', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_statio_user_indexes', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_statio_all_indexes', 'x.schemaname = (SELECT palisade.tenant_schema())'),
    ('pg_roles', own_roles),
    ('pg_user', 'x.usename LIKE replace((SELECT palisade.tenant_schema()), ''_'', ''\_'') || ''\_%'''),
    ('pg_largeobject_metadata', 'false'),
    ('pg_database', 'x.datname = current_database()'),
    ('pg_tablespace', 'x.oid < 16384'),
    ('pg_extension', 'x.extnamespace ' || seen),
    ('pg_stat_activity', 'x.pid = pg_catalog.pg_backend_pid()'),
    ('pg_locks', 'x.pid = pg_catalog.pg_backend_pid()'),
    ('pg_stat_ssl', 'x.pid = pg_catalog.pg_backend_pid()'),
    ('pg_init_privs', 'x.objoid < 16384'),
    ('pg_am', 'x.oid < 16384'), ('pg_prepared_statements', 'true'),
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
          THEN format('CASE WHEN x.%1$I = (SELECT palisade.tenant_schema()) THEN ''public'' ELSE x.%1$I END::name AS %1$I', a.attname)
        WHEN a.attname IN ('datname', 'database') AND t.typname = 'name'
          THEN format('(SELECT palisade.tenant_database()) AS %I', a.attname)
        WHEN a.attname IN ('rolname', 'usename', 'tableowner', 'viewowner', 'matviewowner', 'sequenceowner') AND t.typname = 'name'
          THEN format('palisade.role_name(x.%1$I) AS %1$I', a.attname)
        WHEN a.attname = 'rolcanlogin'
          THEN 'x.rolcanlogin OR x.rolname LIKE ''t\_%\_owner'' AS rolcanlogin'
        -- PostgreSQL's own relations are everybody's: their sizes tell of all tenants.
        WHEN item.name = 'pg_class' AND a.attname IN ('relpages', 'reltuples', 'relallvisible')
          THEN format('CASE WHEN x.oid < 16384 THEN %2$s ELSE x.%1$I END AS %1$I', a.attname, CASE a.attname WHEN 'reltuples' THEN '''-1''::real' ELSE '0' END)
        -- Views ask for these with their caller's rights, who may not read pg_rewrite.
        WHEN item.name IN ('pg_views', 'pg_matviews') AND a.attname = 'definition'
          THEN format('palisade.view_definition(x.schemaname, x.%I) AS definition', CASE item.name WHEN 'pg_views' THEN 'viewname' ELSE 'matviewname' END)
        WHEN item.name = 'pg_rules' AND a.attname = 'definition'
          THEN 'palisade.rule_definition(x.schemaname, x.tablename, x.rulename) AS definition'
        WHEN item.name = 'pg_type' AND a.attname = 'typnamespace'
          THEN 'CASE WHEN x.typnamespace < 16384 OR x.typnamespace ' || seen || ' THEN x.typnamespace ELSE 11 END AS typnamespace'
        -- The domain's own check would speak of rows that the condition is about to leave out.
        WHEN t.typname IN ('regproc', 'regtype')
          THEN format('(CASE WHEN x.%1$I::oid < 16384 OR palisade.sees(%3$L, x.%1$I::oid) THEN x.%1$I END)::palisade.%2$I AS %1$I',
            a.attname, t.typname, CASE t.typname WHEN 'regproc' THEN 'pg_proc' ELSE 'pg_type' END)
        WHEN t.typname = '_regtype' THEN format('x.%1$I::palisade.regtype[] AS %1$I', a.attname)
        WHEN a.attname IN ('definition', 'indexdef', 'qual', 'with_check', 'prosrc') AND t.typname = 'text'
          THEN format(own_words, a.attname, 'text')
        -- PostgreSQL's own objects have the rights that it gave them, whatever we took away: dumps would repeat it.
        WHEN item.name IN ('pg_class', 'pg_attribute', 'pg_proc') AND t.typname = '_aclitem'
          THEN format('CASE WHEN %1$s < 16384 THEN (SELECT palisade.acl(i.initprivs) FROM pg_catalog.pg_init_privs i
               WHERE i.objoid = %1$s AND i.classoid = ''pg_catalog.%4$s''::pg_catalog.regclass AND i.objsubid = %2$s)
               ELSE palisade.acl(x.%3$I) END AS %3$I',
            CASE item.name WHEN 'pg_attribute' THEN 'x.attrelid' ELSE 'x.oid' END,
            CASE item.name WHEN 'pg_attribute' THEN 'x.attnum' ELSE '0' END, a.attname,
            CASE item.name WHEN 'pg_proc' THEN 'pg_proc' ELSE 'pg_class' END)
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

-- information_schema shows by rights already; its schema and catalog columns become the tenant's own names. Nobody has
-- rights on the catalogs themselves: their columns are told from the views that stand for them.
DO $info$
DECLARE
  -- A text with the tenant's own names; most have none to be replaced.
  own_words text := 'CASE WHEN x.%1$I ~* ''palisade|t_[a-z2-7]{20}\.'' THEN palisade.logical(x.%1$I::text)::%2$s ELSE x.%1$I END AS %1$I';
  view record;
  columns text;
  condition text;
BEGIN
  FOR view IN SELECT c.oid, c.relname FROM pg_class c WHERE c.relnamespace = 'information_schema'::regnamespace
    AND c.relkind = 'v' AND c.relname NOT LIKE '\_%' LOOP
    SELECT string_agg(CASE
        WHEN attname LIKE '%\_schema' OR attname = 'schema_name'
          THEN format('(CASE x.%1$I::text WHEN (SELECT palisade.tenant_schema())::text THEN ''public'' %2$s ELSE x.%1$I::text END)::information_schema.sql_identifier AS %1$I',
            attname, CASE WHEN attname = 'table_schema' AND view.relname = 'columns' THEN 'WHEN ''palisade'' THEN ''pg_catalog''' END)
        WHEN attname IN ('grantor', 'grantee', 'schema_owner', 'role_name', 'enabled_role')
          THEN format('palisade.role_name(x.%1$I::name)::information_schema.sql_identifier AS %1$I', attname)
        WHEN attname = 'position_in_unique_constraint'
          THEN 'palisade.unique_position(x.constraint_schema::name, x.table_name::name, x.constraint_name::name, x.ordinal_position::integer)::information_schema.cardinal_number AS position_in_unique_constraint'
        WHEN attname = 'view_definition' AND view.relname = 'views'
          THEN 'palisade.view_definition(x.table_schema::name, x.table_name::name)::information_schema.character_data AS view_definition'
        WHEN attname IN ('view_definition', 'column_default', 'check_clause', 'action_statement', 'action_condition',
            'routine_definition', 'generation_expression', 'domain_default', 'parameter_default')
          THEN format(own_words, attname, 'information_schema.character_data')
        WHEN attname LIKE '%catalog%' AND attname <> 'character_set_catalog'
          THEN format('(CASE WHEN x.%1$I IS NOT NULL THEN (SELECT palisade.tenant_database()) END)::information_schema.sql_identifier AS %1$I', attname)
        ELSE format('x.%I', attname) END, ', ' ORDER BY attnum),
      coalesce(string_agg(CASE WHEN attname LIKE '%\_schema' OR attname = 'schema_name'
        THEN format('(x.%1$I IS NULL OR x.%1$I::name = ANY ((SELECT palisade.schema_names())::name[]) %2$s)', attname,
          CASE WHEN attname = 'table_schema' AND view.relname = 'columns'
            THEN 'OR x.table_schema::name = ''palisade'' AND x.table_name::name = ANY ((SELECT palisade.catalog_names())::name[])' END) END, ' AND '), 'true')
      INTO columns, condition
      FROM pg_attribute WHERE attrelid = view.oid AND attnum > 0 AND NOT attisdropped;
    CALL palisade.make_view(format('palisade_info.%I', view.relname), format('SELECT %s FROM information_schema.%I x WHERE %s',
      columns, view.relname, condition));
    EXECUTE format('GRANT SELECT ON palisade_info.%I TO palisade_tenant', view.relname);
  END LOOP;
END $info$;
