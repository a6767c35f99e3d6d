-- driver: what the server is
SELECT version() LIKE 'PostgreSQL %', current_setting('server_version_num')::int > 140000
-- driver: types that a client can read and write
SELECT s.nspname, t.typname, t.kind, t.typnotnull, e.typname AS of FROM (
  SELECT y.oid, y.typname, y.typnamespace, y.typnotnull, y.typrelid,
    CASE WHEN p.proname = 'array_recv' THEN 'a' ELSE y.typtype END AS kind,
    CASE WHEN p.proname = 'array_recv' THEN y.typelem WHEN y.typtype = 'r' THEN r.rngsubtype WHEN y.typtype = 'd' THEN y.typbasetype
      WHEN y.typtype = 'm' THEN (SELECT m.rngtypid FROM pg_range m WHERE m.rngmultitypid = y.oid) END AS inner_oid
  FROM pg_type y LEFT JOIN pg_proc p ON p.oid = y.typreceive LEFT JOIN pg_range r ON r.rngtypid = y.oid
) t JOIN pg_namespace s ON s.oid = t.typnamespace LEFT JOIN pg_type e ON e.oid = t.inner_oid LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.kind IN ('b', 'r', 'm', 'e', 'd', 'a') OR t.kind = 'c' AND c.relkind = 'c' OR t.kind = 'p' AND t.typname IN ('record', 'void'))
  AND (s.nspname <> 'pg_catalog' OR t.kind <> 'a') AND s.nspname <> 'pg_toast' AND NOT (t.kind = 'a' AND s.nspname = 'information_schema')
ORDER BY CASE WHEN t.kind IN ('b', 'e', 'p') THEN 0 WHEN t.kind = 'r' THEN 1 WHEN t.kind = 'c' THEN 2 WHEN t.kind = 'a' THEN 3 ELSE 4 END, 1, 2
-- driver: fields of row types
SELECT y.typname, f.attname, format_type(f.atttypid, NULL) FROM pg_type y JOIN pg_class c ON c.oid = y.typrelid JOIN pg_attribute f ON f.attrelid = y.typrelid
WHERE y.typtype = 'c' AND c.relkind = 'c' AND f.attnum > 0 AND NOT f.attisdropped ORDER BY 1, f.attnum
-- driver: labels of enumerations
SELECT y.typname, l.enumlabel FROM pg_enum l JOIN pg_type y ON y.oid = l.enumtypid ORDER BY 1, l.enumsortorder
-- tool: databases
SELECT b.datname, pg_encoding_to_char(b.encoding), b.datallowconn, b.datistemplate FROM pg_catalog.pg_database b WHERE b.datallowconn AND NOT b.datistemplate AND b.datname = current_database()
-- tool: where it is
SELECT current_schema(), session_user = current_user, current_schemas(false)
-- tool: schemas with comments
SELECT n.nspname, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass
WHERE n.nspname !~ '^pg_(toast|temp)' ORDER BY n.nspname
-- tool: settings
SELECT name, setting, unit, vartype FROM pg_catalog.pg_settings WHERE name IN ('DateStyle', 'TimeZone', 'server_encoding', 'standard_conforming_strings', 'max_identifier_length') ORDER BY name
-- tool: relations of a schema
SELECT c.relname, c.relkind, c.relpersistence, c.relhasindex, c.relispartition, c.relhassubclass, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound,
  pg_catalog.pg_get_partkeydef(c.oid) AS key, pg_get_userbyid(c.relowner) = current_user AS own
FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c') AND c.relname LIKE 'tool%' ORDER BY 1
-- tool: columns of a table
SELECT c.relname, a.attname, a.attnum, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated, pg_catalog.pg_get_expr(v.adbin, v.adrelid, true) AS value, d.description, dep.deptype,
  format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON a.attrelid = c.oid
LEFT OUTER JOIN pg_catalog.pg_attrdef v ON a.attrelid = v.adrelid AND a.attnum = v.adnum
LEFT OUTER JOIN pg_catalog.pg_description d ON c.oid = d.objoid AND a.attnum = d.objsubid
LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND a.attnum > 0 AND c.relname IN ('tool_team', 'tool_member', 'tool_view', 'tool_log') ORDER BY 1, a.attnum
-- tool: constraints
SELECT t.relname, k.conname, k.contype, k.condeferrable, k.confupdtype, k.confdeltype, k.conkey, k.confkey, f.relname AS refers, pg_catalog.pg_get_constraintdef(k.oid) AS text
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class t ON t.oid = k.conrelid LEFT OUTER JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
WHERE t.relname LIKE 'tool%' AND t.relkind IN ('r', 'p') AND k.contype <> 'n' ORDER BY 1, 2
-- tool: indexes
SELECT c.relname, t.relname AS of, m.amname, i.indisunique, i.indisprimary, i.indisvalid, i.indkey, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred,
  pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS exprs, pg_catalog.pg_relation_size(i.indexrelid) > 0 AS size, pg_catalog.pg_stat_get_numscans(i.indexrelid) >= 0 AS scans, pg_get_indexdef(i.indexrelid)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE t.relname LIKE 'tool%' ORDER BY 1
-- tool: triggers
SELECT t.relname, x.tgname, x.tgtype, x.tgenabled, p.proname, n.nspname, pg_catalog.pg_get_triggerdef(x.oid, true) AS text
FROM pg_catalog.pg_trigger x JOIN pg_catalog.pg_class t ON t.oid = x.tgrelid JOIN pg_catalog.pg_proc p ON p.oid = x.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE NOT x.tgisinternal AND t.relname LIKE 'tool%' ORDER BY 1, 2
-- tool: rules
SELECT t.relname, r.rulename, r.ev_type, r.is_instead, pg_get_ruledef(r.oid, true) FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class WHERE t.relname LIKE 'tool%' ORDER BY 1, 2
-- tool: functions
SELECT p.proname, l.lanname, p.prokind, p.proretset, p.provolatile, p.prosecdef, p.pronargdefaults, format_type(p.prorettype, NULL), p.proargnames, p.proargmodes,
  pg_catalog.pg_get_expr(p.proargdefaults, 0) AS defaults, pg_get_function_arguments(p.oid), pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), d.description
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON p.prolang = l.oid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = p.oid AND d.objsubid = 0
WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'tool%' ORDER BY 1
-- tool: source of a function
SELECT pg_catalog.pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.proname IN ('tool_fun', 'tool_proc') ORDER BY p.proname
-- tool: source of views
SELECT c.relname, pg_catalog.pg_get_viewdef(c.oid, true) FROM pg_class c WHERE c.relname IN ('tool_view', 'tool_matview') ORDER BY 1
-- tool: types
SELECT y.typname, y.typtype, y.typcategory, y.typlen, c.relkind, format_type(nullif(y.typbasetype, 0), y.typtypmod) AS base, d.description, y.typinput, y.typoutput
FROM pg_catalog.pg_type y LEFT OUTER JOIN pg_class c ON c.oid = y.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON y.oid = d.objoid
WHERE y.typnamespace = 'public'::regnamespace AND y.typname ~ '^_?tool' ORDER BY 1
-- tool: sequences
SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size, last_value FROM pg_catalog.pg_sequences WHERE sequencename LIKE 'tool%' ORDER BY 1
-- tool: a sequence
SELECT last_value, is_called FROM tool_team_id_seq
-- tool: sizes
SELECT c.relname, pg_catalog.pg_table_size(c.oid) > 0 AS own, pg_catalog.pg_total_relation_size(c.oid) >= pg_catalog.pg_relation_size(c.oid) AS all, c.reltuples FROM pg_class c WHERE c.relname IN ('tool_team', 'tool_member') ORDER BY 1
-- tool: partitions
SELECT c.relname, i.inhseqno, p.relname AS parent, pg_catalog.pg_get_expr(c.relpartbound, c.oid, true) FROM pg_catalog.pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = 'tool_log' AND c.relkind = 'r'
-- tool: what depends on a table
SELECT DISTINCT c.relname, c.relkind FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class WHERE d.refobjid = 'tool_team'::regclass AND d.classid = 'pg_rewrite'::regclass ORDER BY 1
-- tool: foreign keys by information_schema
SELECT k.table_name, k.column_name, u.table_name AS refers, u.column_name AS to_column, r.delete_rule FROM information_schema.referential_constraints r
JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name) JOIN information_schema.constraint_column_usage u USING (constraint_schema, constraint_name)
WHERE k.table_schema = 'public' AND k.table_name LIKE 'tool%'
-- tool: routines by information_schema
SELECT routine_name, routine_type, data_type, routine_definition, security_type FROM information_schema.routines WHERE routine_schema = 'public' AND routine_name LIKE 'tool%' ORDER BY 1
-- tool: parameters by information_schema
SELECT ordinal_position, parameter_mode, parameter_name, data_type, parameter_default FROM information_schema.parameters WHERE specific_schema = 'public' AND specific_name LIKE 'tool_fun%' ORDER BY 1
-- tool: languages
SELECT lanname, lanpltrusted FROM pg_catalog.pg_language ORDER BY 1
-- tool: access methods
SELECT amname, amtype FROM pg_catalog.pg_am ORDER BY 1
-- tool: operator classes
SELECT count(*) FROM pg_catalog.pg_opclass
-- tool: collations
SELECT collname, collprovider FROM pg_catalog.pg_collation WHERE collname IN ('C', 'POSIX', 'default') ORDER BY 1
-- tool: tablespaces
SELECT spcname FROM pg_catalog.pg_tablespace ORDER BY 1
-- tool: extensions
SELECT extname, n.nspname FROM pg_catalog.pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1
-- tool: casts
SELECT count(*) FROM pg_cast
-- tool: privileges of the user
SELECT has_table_privilege('tool_team', 'SELECT'), has_schema_privilege('public', 'CREATE'), has_column_privilege('tool_team', 'name', 'UPDATE'), has_function_privilege('tool_fun(int, text)', 'EXECUTE')
-- tool: keywords
SELECT count(*) > 400, string_agg(word, ',' ORDER BY word) FILTER (WHERE catcode = 'R' AND word LIKE 's%') FROM pg_get_keywords()
-- tool: own sessions
SELECT count(*), bool_and(datname = current_database()) FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()
-- tool: statistics of a table
SELECT relname, n_live_tup, n_dead_tup FROM pg_catalog.pg_stat_user_tables WHERE relname = 'tool_log_1'
