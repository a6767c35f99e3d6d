-- Most tenants are exactly what their template makes. A step of such a tenant is proven by what it leads to alone: the
-- schema is looked at once, not twice. Where the tenant has something of its own the step is made again with care, and
-- then what it has of its own must be what it was.
ALTER TABLE palisade_control.moves ADD COLUMN careful boolean NOT NULL DEFAULT true;

CREATE OR REPLACE FUNCTION palisade_migrate.open(token text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  move palisade_control.moves;
  tenant palisade_control.tenants;
BEGIN
  SELECT * INTO move FROM palisade_control.moves m WHERE m.token_hash = sha256(convert_to(token, 'UTF8'))
    AND session_user = 't_' || m.tenant_id || '_l_owner' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no such step' USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT * INTO tenant FROM palisade_control.tenants t WHERE t.id = move.tenant_id;
  IF tenant.template_version <> move.from_version THEN
    RAISE EXCEPTION 'the tenant is at version % and the step is from version %', tenant.template_version, move.from_version
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE palisade_control.moves SET deviation = CASE WHEN move.careful
      THEN palisade_control.deviation(tenant.schema_name, tenant.template, move.from_version) ELSE '{}' END
    WHERE id = move.id;
END $$;

CREATE OR REPLACE FUNCTION palisade_migrate.close(token text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  move palisade_control.moves;
  tenant palisade_control.tenants;
  now_differing text[];
  odd text;
BEGIN
  SELECT * INTO move FROM palisade_control.moves m WHERE m.token_hash = sha256(convert_to(token, 'UTF8'))
    AND m.deviation IS NOT NULL AND session_user = 't_' || m.tenant_id || '_l_owner' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no such step' USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT * INTO tenant FROM palisade_control.tenants t WHERE t.id = move.tenant_id;
  IF move.careful THEN
    now_differing := palisade_control.deviation(tenant.schema_name, tenant.template, move.to_version);
    SELECT line INTO odd FROM (
      (SELECT unnest(now_differing) EXCEPT ALL SELECT unnest(move.deviation))
      UNION ALL (SELECT unnest(move.deviation) EXCEPT ALL SELECT unnest(now_differing))) AS o (line) LIMIT 1;
    IF odd IS NOT NULL THEN
      RAISE EXCEPTION 'the step does not lead to version %: %', move.to_version, odd
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  ELSIF palisade_control.fingerprint(tenant.schema_name) IS DISTINCT FROM (
      SELECT v.fingerprint FROM palisade_control.template_versions v
      WHERE v.name = tenant.template AND v.version = move.to_version) THEN
    RAISE EXCEPTION 'the tenant has something of its own' USING ERRCODE = 'PM001';
  END IF;
  UPDATE palisade_control.tenants SET template_version = move.to_version
    WHERE id = move.tenant_id AND template_version = move.from_version;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the tenant was moved meanwhile' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  DELETE FROM palisade_control.moves WHERE id = move.id;
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_migrate FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA palisade_migrate TO palisade_tenant;
