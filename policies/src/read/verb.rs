//! What a statement is called, and whether it reads, writes, defines or manages the session.

use pg_query::NodeRef;
use pg_query::protobuf as p;
use pg_query::protobuf::ObjectType as T;

use crate::effect::Kind;

/// The verb and kind of a top-level statement; `None` for one that is not on the list.
#[allow(clippy::too_many_lines, reason = "one line a statement: a table")]
pub(super) fn of(node: &NodeRef<'_>) -> Option<(&'static str, Kind)> {
    use Kind::{Ddl, Read, Session, Write};
    Some(match node {
        NodeRef::SelectStmt(s) if s.into_clause.is_some() => ("SELECT INTO", Ddl),
        NodeRef::SelectStmt(s) if writes(s.with_clause.as_ref()) => ("SELECT", Write),
        NodeRef::SelectStmt(_) => ("SELECT", Read),
        NodeRef::InsertStmt(_) => ("INSERT", Write),
        NodeRef::UpdateStmt(_) => ("UPDATE", Write),
        NodeRef::DeleteStmt(_) => ("DELETE", Write),
        NodeRef::MergeStmt(_) => ("MERGE", Write),
        NodeRef::CopyStmt(s) if s.is_from => ("COPY FROM", Write),
        NodeRef::CopyStmt(_) => ("COPY TO", Read),
        NodeRef::TruncateStmt(_) => ("TRUNCATE", Write),
        NodeRef::LockStmt(_) => ("LOCK", Session),
        NodeRef::CreateStmt(_) => ("CREATE TABLE", Ddl),
        NodeRef::CreateForeignTableStmt(_) => ("CREATE FOREIGN TABLE", Ddl),
        NodeRef::CreateTableAsStmt(s) if s.objtype == T::ObjectMatview as i32 => {
            ("CREATE MATERIALIZED VIEW", Ddl)
        }
        NodeRef::CreateTableAsStmt(_) => ("CREATE TABLE AS", Ddl),
        NodeRef::IndexStmt(_) => ("CREATE INDEX", Ddl),
        NodeRef::ViewStmt(_) => ("CREATE VIEW", Ddl),
        NodeRef::RefreshMatViewStmt(_) => ("REFRESH MATERIALIZED VIEW", Write),
        NodeRef::CreateSeqStmt(_) => ("CREATE SEQUENCE", Ddl),
        NodeRef::AlterSeqStmt(_) => ("ALTER SEQUENCE", Ddl),
        NodeRef::AlterTableStmt(_) => ("ALTER TABLE", Ddl),
        NodeRef::CreateFunctionStmt(s) if s.is_procedure => ("CREATE PROCEDURE", Ddl),
        NodeRef::CreateFunctionStmt(_) => ("CREATE FUNCTION", Ddl),
        NodeRef::AlterFunctionStmt(_) => ("ALTER FUNCTION", Ddl),
        NodeRef::CreateTrigStmt(_) => ("CREATE TRIGGER", Ddl),
        NodeRef::RuleStmt(_) => ("CREATE RULE", Ddl),
        NodeRef::CreatePolicyStmt(_) => ("CREATE POLICY", Ddl),
        NodeRef::AlterPolicyStmt(_) => ("ALTER POLICY", Ddl),
        NodeRef::CreateDomainStmt(_) => ("CREATE DOMAIN", Ddl),
        NodeRef::AlterDomainStmt(_) => ("ALTER DOMAIN", Ddl),
        NodeRef::CreateEnumStmt(_) | NodeRef::CreateRangeStmt(_) | NodeRef::CompositeTypeStmt(_) => {
            ("CREATE TYPE", Ddl)
        }
        NodeRef::AlterEnumStmt(_) | NodeRef::AlterTypeStmt(_) => ("ALTER TYPE", Ddl),
        NodeRef::CreateStatsStmt(_) => ("CREATE STATISTICS", Ddl),
        NodeRef::AlterStatsStmt(_) => ("ALTER STATISTICS", Ddl),
        NodeRef::DefineStmt(_) => ("CREATE", Ddl),
        NodeRef::DropStmt(s) => (drop_verb(s), Ddl),
        NodeRef::RenameStmt(_) | NodeRef::AlterObjectSchemaStmt(_) | NodeRef::AlterOwnerStmt(_) => {
            ("ALTER", Ddl)
        }
        NodeRef::AlterObjectDependsStmt(_) | NodeRef::AlterCollationStmt(_) => ("ALTER", Ddl),
        NodeRef::CommentStmt(_) => ("COMMENT", Ddl),
        NodeRef::GrantStmt(s) if s.is_grant => ("GRANT", Ddl),
        NodeRef::GrantStmt(_) => ("REVOKE", Ddl),
        NodeRef::AlterDefaultPrivilegesStmt(_) => ("ALTER DEFAULT PRIVILEGES", Ddl),
        NodeRef::VacuumStmt(s) if s.is_vacuumcmd => ("VACUUM", Write),
        NodeRef::VacuumStmt(_) => ("ANALYZE", Write),
        NodeRef::ClusterStmt(_) => ("CLUSTER", Write),
        NodeRef::ReindexStmt(_) => ("REINDEX", Write),
        NodeRef::TransactionStmt(s) => (transaction_verb(s), Session),
        NodeRef::VariableSetStmt(_) => ("SET", Session),
        NodeRef::VariableShowStmt(_) => ("SHOW", Read),
        NodeRef::DiscardStmt(_) => ("DISCARD", Session),
        NodeRef::PrepareStmt(_) => ("PREPARE", Session),
        NodeRef::ExecuteStmt(_) => ("EXECUTE", Write),
        NodeRef::DeallocateStmt(_) => ("DEALLOCATE", Session),
        NodeRef::DeclareCursorStmt(_) => ("DECLARE CURSOR", Read),
        NodeRef::ClosePortalStmt(_) => ("CLOSE", Session),
        NodeRef::FetchStmt(_) => ("FETCH", Read),
        NodeRef::ConstraintsSetStmt(_) => ("SET CONSTRAINTS", Session),
        NodeRef::ListenStmt(_) => ("LISTEN", Session),
        NodeRef::UnlistenStmt(_) => ("UNLISTEN", Session),
        NodeRef::NotifyStmt(_) => ("NOTIFY", Session),
        NodeRef::DoStmt(_) => ("DO", Write),
        NodeRef::CallStmt(_) => ("CALL", Write),
        NodeRef::ExplainStmt(_) => ("EXPLAIN", Read),
        NodeRef::GrantRoleStmt(_) => ("GRANT ROLE", Ddl),
        NodeRef::LoadStmt(_) => ("LOAD", Session),
        NodeRef::CreatedbStmt(_) => ("CREATE DATABASE", Ddl),
        NodeRef::DropdbStmt(_) => ("DROP DATABASE", Ddl),
        NodeRef::AlterDatabaseStmt(_)
        | NodeRef::AlterDatabaseSetStmt(_)
        | NodeRef::AlterDatabaseRefreshCollStmt(_) => ("ALTER DATABASE", Ddl),
        NodeRef::CreateRoleStmt(_) => ("CREATE ROLE", Ddl),
        NodeRef::AlterRoleStmt(_) | NodeRef::AlterRoleSetStmt(_) => ("ALTER ROLE", Ddl),
        NodeRef::DropRoleStmt(_) => ("DROP ROLE", Ddl),
        NodeRef::CheckPointStmt(_) => ("CHECKPOINT", Session),
        NodeRef::CreateSchemaStmt(_) => ("CREATE SCHEMA", Ddl),
        NodeRef::DropOwnedStmt(_) => ("DROP OWNED", Ddl),
        NodeRef::ReassignOwnedStmt(_) => ("REASSIGN OWNED", Ddl),
        NodeRef::CreateExtensionStmt(_) => ("CREATE EXTENSION", Ddl),
        NodeRef::AlterSystemStmt(_) => ("ALTER SYSTEM", Ddl),
        NodeRef::SecLabelStmt(_) => ("SECURITY LABEL", Ddl),
        NodeRef::CreatePlangStmt(_)
        | NodeRef::CreateConversionStmt(_)
        | NodeRef::CreateCastStmt(_)
        | NodeRef::CreateOpClassStmt(_)
        | NodeRef::CreateOpFamilyStmt(_)
        | NodeRef::CreateTableSpaceStmt(_)
        | NodeRef::CreateFdwStmt(_)
        | NodeRef::CreateForeignServerStmt(_)
        | NodeRef::CreateUserMappingStmt(_)
        | NodeRef::ImportForeignSchemaStmt(_)
        | NodeRef::CreateEventTrigStmt(_)
        | NodeRef::CreateTransformStmt(_)
        | NodeRef::CreateAmStmt(_)
        | NodeRef::CreatePublicationStmt(_)
        | NodeRef::CreateSubscriptionStmt(_) => ("CREATE", Ddl),
        NodeRef::AlterOpFamilyStmt(_)
        | NodeRef::AlterOperatorStmt(_)
        | NodeRef::AlterTableSpaceOptionsStmt(_)
        | NodeRef::AlterTableMoveAllStmt(_)
        | NodeRef::AlterTsdictionaryStmt(_)
        | NodeRef::AlterTsconfigurationStmt(_)
        | NodeRef::AlterFdwStmt(_)
        | NodeRef::AlterForeignServerStmt(_)
        | NodeRef::AlterUserMappingStmt(_)
        | NodeRef::AlterExtensionStmt(_)
        | NodeRef::AlterExtensionContentsStmt(_)
        | NodeRef::AlterEventTrigStmt(_)
        | NodeRef::AlterPublicationStmt(_)
        | NodeRef::AlterSubscriptionStmt(_) => ("ALTER", Ddl),
        NodeRef::DropTableSpaceStmt(_)
        | NodeRef::DropUserMappingStmt(_)
        | NodeRef::DropSubscriptionStmt(_) => ("DROP", Ddl),
        _ => return None,
    })
}

fn writes(with: Option<&p::WithClause>) -> bool {
    use p::node::Node;
    with.is_some_and(|with| {
        with.ctes.iter().any(|n| match n.node.as_ref() {
            Some(Node::CommonTableExpr(cte)) => !matches!(
                cte.ctequery.as_ref().and_then(|q| q.node.as_ref()),
                Some(Node::SelectStmt(_)) | None
            ),
            _ => false,
        })
    })
}

fn drop_verb(s: &p::DropStmt) -> &'static str {
    match T::try_from(s.remove_type) {
        Ok(T::ObjectTable) => "DROP TABLE",
        Ok(T::ObjectView) => "DROP VIEW",
        Ok(T::ObjectMatview) => "DROP MATERIALIZED VIEW",
        Ok(T::ObjectIndex) => "DROP INDEX",
        Ok(T::ObjectSequence) => "DROP SEQUENCE",
        Ok(T::ObjectFunction | T::ObjectProcedure | T::ObjectRoutine) => "DROP FUNCTION",
        Ok(T::ObjectType | T::ObjectDomain) => "DROP TYPE",
        Ok(T::ObjectSchema) => "DROP SCHEMA",
        Ok(T::ObjectTrigger) => "DROP TRIGGER",
        _ => "DROP",
    }
}

fn transaction_verb(s: &p::TransactionStmt) -> &'static str {
    use p::TransactionStmtKind as K;
    match K::try_from(s.kind) {
        Ok(K::TransStmtBegin | K::TransStmtStart) => "BEGIN",
        Ok(K::TransStmtCommit) => "COMMIT",
        Ok(K::TransStmtRollback) => "ROLLBACK",
        Ok(K::TransStmtSavepoint) => "SAVEPOINT",
        Ok(K::TransStmtRelease) => "RELEASE",
        Ok(K::TransStmtRollbackTo) => "ROLLBACK TO",
        _ => "TRANSACTION",
    }
}
