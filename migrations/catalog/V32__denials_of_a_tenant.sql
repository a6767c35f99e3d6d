-- A tenant's denials are asked for most often, and are few among all that it does.
CREATE INDEX audit_events_tenant_denied ON palisade_control.audit_events (tenant_id, at DESC, id DESC) WHERE decision = 'deny';
-- What belongs to an operation is asked for from its page.
CREATE INDEX audit_events_operation ON palisade_control.audit_events ((event ->> 'operation'), at DESC, id DESC) WHERE event ? 'operation';
