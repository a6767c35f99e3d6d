-- What a template's version makes, tried in a scratch schema at registration.
CREATE TABLE palisade_control.template_versions (
  name          text NOT NULL,
  version       int NOT NULL,
  -- V<version>__<name>.sql, its text and SHA-256. An applied migration never changes.
  file          text NOT NULL,
  body          text NOT NULL,
  checksum      text NOT NULL,
  -- U<version>__<name>.sql takes a tenant back to the version before; tried too.
  undo_file     text,
  undo_body     text,
  undo_checksum text,
  -- What describe_schema says of a tenant at this version, and its digest.
  fingerprint   text NOT NULL,
  description   text[] NOT NULL,
  -- Server major version and form of the description.
  made_with     text NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now(),
  registered_by text NOT NULL,
  PRIMARY KEY (name, version)
);

ALTER TABLE palisade_control.operation_steps DROP CONSTRAINT operation_steps_state_check;
ALTER TABLE palisade_control.operation_steps
  ADD CHECK (state IN ('running', 'done', 'failed', 'skipped'));

CREATE FUNCTION palisade_control.acl_text(acl aclitem[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(acl) a
$$;

-- Everything that makes a schema what it is, a line each, with the tenant's own name as "~": two tenants of one template
-- version have the same lines. Reaches objects through pg_depend and their own indexes; pg_class is never scanned.
CREATE FUNCTION palisade_control.describe_schema(wanted text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH ns AS MATERIALIZED (
    SELECT oid, nspowner, nspacl FROM pg_namespace WHERE nspname = wanted
  ), member AS MATERIALIZED (
    SELECT d.classid, d.objid FROM ns
    JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = ns.oid AND d.objsubid = 0
  ), kind AS MATERIALIZED (
    SELECT t.* FROM member m JOIN pg_type t ON t.oid = m.objid WHERE m.classid = 'pg_type'::regclass
  ), rel AS MATERIALIZED (
    SELECT c.* FROM member m JOIN pg_class c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass
    UNION ALL
    SELECT c.* FROM kind k JOIN pg_class c ON c.oid = k.typrelid WHERE k.typtype = 'c' AND c.relkind = 'c'
  ), line (text) AS (
    SELECT format('schema owner=%s acl=%s', pg_get_userbyid(nspowner), palisade_control.acl_text(nspacl)) FROM ns
    UNION ALL
    SELECT format('relation %s kind=%s persistence=%s owner=%s acl=%s options=%s security=%s/%s identity=%s key=%s bound=%s parents=%s',
      relname, relkind, relpersistence, pg_get_userbyid(relowner), palisade_control.acl_text(relacl), reloptions,
      relrowsecurity, relforcerowsecurity, relreplident, CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END,
      pg_get_expr(relpartbound, oid),
      (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = rel.oid))
    FROM rel
    UNION ALL
    SELECT format('column %s.%s place=%s type=%s null=%s default=%s identity=%s generated=%s collation=%s acl=%s',
      rel.relname, a.attname, row_number() OVER (PARTITION BY rel.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
      NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
      CASE WHEN a.attcollation <> 0 THEN a.attcollation::regcollation END, palisade_control.acl_text(a.attacl))
    FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE rel.relkind IN ('r', 'v', 'm', 'f', 'p', 'c')
    UNION ALL
    SELECT format('index valid=%s clustered=%s identity=%s %s', i.indisvalid, i.indisclustered, i.indisreplident,
      pg_get_indexdef(i.indexrelid))
    FROM rel JOIN pg_index i ON i.indrelid = rel.oid
    UNION ALL
    SELECT format('constraint %s.%s valid=%s %s', rel.relname, c.conname, c.convalidated, pg_get_constraintdef(c.oid))
    FROM rel JOIN pg_constraint c ON c.conrelid = rel.oid
    UNION ALL
    SELECT format('trigger enabled=%s %s', t.tgenabled, pg_get_triggerdef(t.oid))
    FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT format('rule enabled=%s %s', r.ev_enabled, pg_get_ruledef(r.oid)) FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid
    UNION ALL
    SELECT format('policy %s.%s command=%s permissive=%s roles=%s using=%s check=%s', rel.relname, p.polname, p.polcmd,
      p.polpermissive, (SELECT string_agg(CASE WHEN o = 0 THEN 'public' ELSE pg_get_userbyid(o) END, ',' ORDER BY o)
        FROM unnest(p.polroles) o), pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
    UNION ALL
    SELECT format('sequence %s type=%s start=%s step=%s range=%s..%s cache=%s cycle=%s', rel.relname,
      format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
    FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid WHERE rel.relkind = 'S'
    UNION ALL
    SELECT format('routine %s owner=%s acl=%s %s', p.oid::regprocedure, pg_get_userbyid(p.proowner),
      palisade_control.acl_text(p.proacl), CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE
        (SELECT format('aggregate %s %s %s %s', g.aggtransfn, g.aggfinalfn, format_type(g.aggtranstype, NULL), g.agginitval)
         FROM pg_aggregate g WHERE g.aggfnoid = p.oid) END)
    FROM member m JOIN pg_proc p ON p.oid = m.objid WHERE m.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT format('type %s kind=%s owner=%s acl=%s base=%s null=%s default=%s labels=%s subtype=%s', typname, typtype,
      pg_get_userbyid(typowner), palisade_control.acl_text(typacl),
      CASE WHEN typbasetype <> 0 THEN format_type(typbasetype, typtypmod) END, NOT typnotnull, typdefault,
      (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = kind.oid),
      (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = kind.oid))
    FROM kind
    UNION ALL
    SELECT format('constraint of type %s.%s %s', kind.typname, c.conname, pg_get_constraintdef(c.oid))
    FROM kind JOIN pg_constraint c ON c.contypid = kind.oid
    UNION ALL
    SELECT format('default privileges role=%s schema=%s kind=%s acl=%s', pg_get_userbyid(d.defaclrole), d.defaclnamespace <> 0,
      d.defaclobjtype, palisade_control.acl_text(d.defaclacl))
    FROM ns JOIN pg_default_acl d ON d.defaclrole = ns.nspowner AND d.defaclnamespace IN (0, ns.oid)
    UNION ALL
    SELECT format('%s %s', o.type, o.identity)
    FROM member m, pg_identify_object(m.classid, m.objid, 0) o
    WHERE m.classid NOT IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_default_acl'::regclass)
  )
  SELECT replace(text, wanted, '~') FROM line
$$;

-- The digest of a description. NULL where there is no such schema.
CREATE FUNCTION palisade_control.fingerprint(wanted text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT encode(sha256(convert_to(string_agg(line, E'\n' ORDER BY line COLLATE "C"), 'UTF8')), 'hex')
  FROM palisade_control.describe_schema(wanted) AS line
$$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control FROM PUBLIC;
