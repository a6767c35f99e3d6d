-- API tokens for programs: the secret is kept as a digest only.
CREATE TABLE palisade_control.api_tokens (
  id             text PRIMARY KEY,
  name           text NOT NULL,
  secret_hash    bytea NOT NULL,
  roles          text[] NOT NULL,
  -- Ids of the tenants that it is for; NULL is all.
  tenants        text[],
  created_by     text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL,
  last_used_at   timestamptz,
  last_used_from text,
  revoked_at     timestamptz,
  revoked_by     text
);
CREATE UNIQUE INDEX api_tokens_name ON palisade_control.api_tokens (name) WHERE revoked_at IS NULL;

-- Sessions of the admin UI: the cookie is kept as a digest only.
CREATE TABLE palisade_control.sessions (
  id_hash    bytea PRIMARY KEY,
  csrf       text NOT NULL,
  subject    text NOT NULL,
  -- Who stands behind it: the maker of an API token, else the subject.
  person     text NOT NULL,
  roles      text[] NOT NULL,
  tenants    text[],
  -- The API token that it was opened with; it ends with the token.
  token_id   text REFERENCES palisade_control.api_tokens ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_expires ON palisade_control.sessions (expires_at);

-- Requests that a second person must approve.
CREATE TABLE palisade_control.approvals (
  id           uuid PRIMARY KEY,
  method       text NOT NULL,
  endpoint     text NOT NULL,
  path         text NOT NULL,
  -- Of path and body, without the confirmation: what is approved is what is done.
  request_hash bytea NOT NULL,
  -- The body, without the confirmation, for whoever approves.
  body         jsonb NOT NULL,
  requested_by text NOT NULL,
  person       text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,
  decision     text CHECK (decision IN ('approved', 'refused')),
  decided_by   text,
  decided_at   timestamptz,
  used_at      timestamptz
);
CREATE INDEX approvals_requested ON palisade_control.approvals (requested_at DESC);
