-- What an operator's own role kinds may do is given by the control plane with their logins, not by a template: it is no
-- part of what makes a tenant's schema what it is.
CREATE OR REPLACE FUNCTION palisade_control.acl_text(acl aclitem[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(acl) a
  WHERE a::text !~ '^"?t_[a-z2-7]{20}_l_(?!(owner|app|readonly)"?=)'
$$;
