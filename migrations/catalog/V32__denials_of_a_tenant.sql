-- A tenant's denials are asked for most often, and are few among all that it does.
CREATE INDEX audit_events_tenant_denied ON palisade_control.audit_events (tenant_id, at DESC, id DESC) WHERE decision = 'deny';
