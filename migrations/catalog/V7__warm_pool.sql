-- Tenants that are built and verified before anybody wants them: schema and roles, without a slug, logins or a row in
-- tenants. One that was being verified when its builder stopped is not ready, and is removed.
CREATE TABLE palisade_control.warm_tenants (
  id               text PRIMARY KEY,
  template         text NOT NULL,
  template_version int NOT NULL,
  ready            boolean NOT NULL DEFAULT false,
  built_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  FOREIGN KEY (template, template_version) REFERENCES palisade_control.template_versions
);
