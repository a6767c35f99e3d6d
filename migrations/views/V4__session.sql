-- What a session still holds that ties it to its server connection: the proxy asks before it gives the connection to
-- another client. Bits: 1 listens, 2 session-level advisory locks, 4 temporary objects, 8 cursors WITH HOLD, 16 SQL's own
-- prepared statements; only the bits of `asked` are looked at. Runs at every start, in one transaction; safe to repeat.
CREATE OR REPLACE FUNCTION palisade.session_holds(asked integer) RETURNS integer LANGUAGE sql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN asked & 1 <> 0 AND EXISTS (SELECT FROM pg_listening_channels()) THEN 1 ELSE 0 END
       + CASE WHEN asked & 2 <> 0 AND EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
           THEN 2 ELSE 0 END
       -- By the dependency's index: pg_class has none on its namespace.
       + CASE WHEN asked & 4 <> 0 AND EXISTS (SELECT FROM pg_depend
           WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()) THEN 4 ELSE 0 END
       + CASE WHEN asked & 8 <> 0 AND EXISTS (SELECT FROM pg_cursors WHERE is_holdable) THEN 8 ELSE 0 END
       + CASE WHEN asked & 16 <> 0 AND EXISTS (SELECT FROM pg_prepared_statements WHERE from_sql) THEN 16 ELSE 0 END
$$;
REVOKE ALL ON FUNCTION palisade.session_holds(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION palisade.session_holds(integer) TO palisade_tenant;
