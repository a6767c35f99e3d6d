-- Policies that an operator activated. Rows are never changed: a rollback is a new epoch with an old one's texts.
-- Texts that are NULL mean the policy that comes with Palisade; without any row that one holds, as epoch 1.
CREATE TABLE palisade_control.policies (
  epoch    bigint PRIMARY KEY CHECK (epoch > 1),
  model    text,
  policy   text,
  -- The epoch whose texts these are, where it is a rollback.
  restores bigint,
  comment  text NOT NULL DEFAULT '',
  made_by  text NOT NULL,
  made_at  timestamptz NOT NULL DEFAULT now(),
  CHECK ((model IS NULL) = (policy IS NULL))
);

CREATE FUNCTION palisade_control.tell_policy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('palisade_changes', '');
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON palisade_control.policies
  FOR EACH STATEMENT EXECUTE FUNCTION palisade_control.tell_policy();

-- enforce: what the policy refuses is refused. observe: it is recorded, and the database's own grants answer.
ALTER TABLE palisade_control.tenants ADD COLUMN policy_mode text NOT NULL DEFAULT 'enforce'
  CHECK (policy_mode IN ('enforce', 'observe'));
CREATE INDEX tenants_observing ON palisade_control.tenants (id) WHERE policy_mode = 'observe';

-- What proxies need: the policy in force, its texts where the epoch is another than the asker's, and who only tries it.
CREATE FUNCTION palisade_control.policy_since(known bigint, OUT epoch bigint, OUT model text, OUT policy text,
  OUT observing text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(p.epoch, 1),
    CASE WHEN p.epoch <> known THEN p.model END,
    CASE WHEN p.epoch <> known THEN p.policy END,
    ARRAY(SELECT t.id FROM palisade_control.tenants t
          WHERE t.policy_mode = 'observe' AND t.observed_state <> 'deleted' ORDER BY t.id)
  FROM (SELECT max(q.epoch) AS epoch FROM palisade_control.policies q) newest
  LEFT JOIN palisade_control.policies p ON p.epoch = newest.epoch
$$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA palisade_control FROM PUBLIC;
GRANT EXECUTE ON FUNCTION palisade_control.policy_since(bigint) TO palisade_proxy;
