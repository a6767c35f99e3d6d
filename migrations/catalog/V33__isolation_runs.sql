-- Leak tests that were started through the API: one at a time, over all control planes.
CREATE TABLE palisade_control.isolation_runs (
  id            uuid PRIMARY KEY,
  -- Eight hexadecimal digits: in the names of its probe tenants and of its token.
  name          text NOT NULL,
  state         text NOT NULL CHECK (state IN ('running', 'passed', 'leaked', 'failed', 'cancelled')),
  wish          jsonb NOT NULL,
  requested_by  text NOT NULL,
  cancelled_by  text,
  started_at    timestamptz NOT NULL DEFAULT now(),
  -- When its control plane was last there.
  seen_at       timestamptz NOT NULL DEFAULT now(),
  ended_at      timestamptz,
  -- Whether its probe tenants are gone.
  cleaned       boolean NOT NULL DEFAULT false,
  error         text,
  leaks         bigint,
  walls         jsonb NOT NULL DEFAULT '[]',
  report_json   text,
  report_html   text
);
CREATE UNIQUE INDEX isolation_runs_one ON palisade_control.isolation_runs (state) WHERE state = 'running';
CREATE INDEX isolation_runs_started ON palisade_control.isolation_runs (started_at DESC);

-- The tree that a checkpoint signs, as the roots of its perfect subtrees: the log can be checked from there on. They are
-- taken at the signature's word alone, so whoever alters them is found out.
ALTER TABLE palisade_control.audit_checkpoints ADD COLUMN roots bytea[];
