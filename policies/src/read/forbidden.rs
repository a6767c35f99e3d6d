//! Statements that are read in full and never permitted to a tenant, in PostgreSQL's words for an ordinary role.

use pg_query::NodeRef;

use crate::read::walk::Walk;
use crate::verdict::Reason;

/// Refuses the statement with these words.
pub(super) fn refuse(walk: &mut Walk<'_>, sqlstate: &'static str, message: impl Into<String>) {
    walk.forbid(sqlstate, message, Reason::ForbiddenStatement);
}

/// Refuses the statement with the words for its kind. None of them depends on what exists.
pub(super) fn statement(walk: &mut Walk<'_>, node: NodeRef<'_>) {
    let message = match node {
        NodeRef::GrantRoleStmt(_) => "permission denied to grant role",
        NodeRef::LoadStmt(_) => "access to this library is not allowed",
        NodeRef::CreatedbStmt(_) => "permission denied to create database",
        NodeRef::CreateRoleStmt(_) => "permission denied to create role",
        NodeRef::DropRoleStmt(_) => "permission denied to drop role",
        NodeRef::AlterSystemStmt(_) => "must be superuser to execute ALTER SYSTEM command",
        NodeRef::CheckPointStmt(_) => {
            "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT"
        }
        NodeRef::CreateSchemaStmt(_) => "permission denied for database",
        NodeRef::CreateExtensionStmt(_) => "permission denied to create extension",
        NodeRef::CreatePublicationStmt(_) | NodeRef::CreateSubscriptionStmt(_) => {
            "permission denied for database"
        }
        NodeRef::CreateEventTrigStmt(_) => "permission denied to create event trigger",
        NodeRef::DropOwnedStmt(_) => "permission denied to drop objects",
        NodeRef::ReassignOwnedStmt(_) => "permission denied to reassign objects",
        _ => "permission denied",
    };
    refuse(walk, "42501", message);
}
