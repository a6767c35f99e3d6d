-- Logins of the control plane's own for one export or clone: they end by themselves and are not shown.
ALTER TABLE palisade_control.logins ADD COLUMN expires_at timestamptz;
CREATE INDEX logins_expires ON palisade_control.logins (expires_at) WHERE expires_at IS NOT NULL;

CREATE OR REPLACE FUNCTION palisade_control.touch_login() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE palisade_control.tenants SET updated_at = now() WHERE id = coalesce(NEW.tenant_id, OLD.tenant_id);
  RETURN NULL;
END $$;
CREATE TRIGGER touch_temporary AFTER INSERT ON palisade_control.logins
  FOR EACH ROW WHEN (NEW.expires_at IS NOT NULL) EXECUTE FUNCTION palisade_control.touch_login();
CREATE TRIGGER touch_gone AFTER DELETE ON palisade_control.logins
  FOR EACH ROW WHEN (OLD.expires_at IS NOT NULL) EXECUTE FUNCTION palisade_control.touch_login();
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control FROM PUBLIC;
GRANT EXECUTE ON FUNCTION palisade_control.tenants_since(xid8) TO palisade_proxy;
