//! What each kind of node means. The match has no wildcard: a node kind that a new grammar adds does not compile until
//! somebody has said what it means here.

use pg_query::NodeRef;

use crate::access::{Action, Class};
use crate::effect::Effect;
use crate::read::walk::Walk;
use crate::read::{ddl, expression, forbidden, session, write};

/// Records what a node names or does. Its children are visited afterwards by the walk.
#[allow(clippy::too_many_lines, reason = "one arm a group of node kinds: a table, read from top to bottom")]
pub(super) fn enter(walk: &mut Walk<'_>, node: NodeRef<'_>) {
    match node {
        // Queries and their parts.
        NodeRef::SelectStmt(s) => {
            if let Some(into) = s.into_clause.as_ref() {
                walk.role(into.rel.as_ref(), Action::Create);
            }
        }
        NodeRef::InsertStmt(s) => write::insert(walk, s),
        NodeRef::UpdateStmt(s) => write::update(walk, s),
        NodeRef::DeleteStmt(s) => write::delete(walk, s),
        NodeRef::MergeStmt(s) => write::merge(walk, s),
        NodeRef::LockingClause(c) => expression::locking(walk, c),
        NodeRef::FuncCall(c) => expression::function(walk, c),
        NodeRef::TypeName(t) => expression::type_name(walk, t),
        NodeRef::TypeCast(c) => expression::cast(walk, c),
        NodeRef::ColumnRef(c) => expression::column(walk, c),
        NodeRef::AExpr(e) => expression::operator(walk, &e.name, e.location),
        NodeRef::SortBy(s) => expression::operator(walk, &s.use_op, -1),
        NodeRef::SubLink(s) => expression::operator(walk, &s.oper_name, s.location),
        NodeRef::CollateClause(c) => expression::collation(walk, &c.collname, c.location),
        NodeRef::SqlvalueFunction(f) => expression::value_function(walk, f),
        NodeRef::RangeTableSample(s) => expression::listed_function(walk, &s.method, s.location),
        NodeRef::RangeVar(_)
        | NodeRef::IntoClause(_)
        | NodeRef::Alias(_)
        | NodeRef::ParamRef(_)
        | NodeRef::AConst(_)
        | NodeRef::AStar(_)
        | NodeRef::AIndices(_)
        | NodeRef::AIndirection(_)
        | NodeRef::AArrayExpr(_)
        | NodeRef::ResTarget(_)
        | NodeRef::MultiAssignRef(_)
        | NodeRef::WindowDef(_)
        | NodeRef::RangeSubselect(_)
        | NodeRef::RangeFunction(_)
        | NodeRef::RangeTableFunc(_)
        | NodeRef::RangeTableFuncCol(_)
        | NodeRef::NamedArgExpr(_)
        | NodeRef::BoolExpr(_)
        | NodeRef::CaseExpr(_)
        | NodeRef::CaseWhen(_)
        | NodeRef::RowExpr(_)
        | NodeRef::CoalesceExpr(_)
        | NodeRef::MinMaxExpr(_)
        | NodeRef::GroupingFunc(_)
        | NodeRef::GroupingSet(_)
        | NodeRef::XmlExpr(_)
        | NodeRef::XmlSerialize(_)
        | NodeRef::NullTest(_)
        | NodeRef::BooleanTest(_)
        | NodeRef::SetToDefault(_)
        | NodeRef::CurrentOfExpr(_)
        | NodeRef::JoinExpr(_)
        | NodeRef::WithClause(_)
        | NodeRef::CommonTableExpr(_)
        | NodeRef::CtesearchClause(_)
        | NodeRef::CtecycleClause(_)
        | NodeRef::InferClause(_)
        | NodeRef::OnConflictClause(_)
        | NodeRef::MergeWhenClause(_)
        | NodeRef::MergeSupportFunc(_)
        | NodeRef::ReturningClause(_)
        | NodeRef::ReturningOption(_)
        | NodeRef::JsonFormat(_)
        | NodeRef::JsonReturning(_)
        | NodeRef::JsonValueExpr(_)
        | NodeRef::JsonIsPredicate(_)
        | NodeRef::JsonOutput(_)
        | NodeRef::JsonKeyValue(_)
        | NodeRef::JsonObjectConstructor(_)
        | NodeRef::JsonArrayConstructor(_)
        | NodeRef::JsonArrayQueryConstructor(_)
        | NodeRef::JsonAggConstructor(_)
        | NodeRef::JsonObjectAgg(_)
        | NodeRef::JsonArrayAgg(_)
        | NodeRef::JsonBehavior(_)
        | NodeRef::JsonArgument(_)
        | NodeRef::JsonFuncExpr(_)
        | NodeRef::JsonTablePathSpec(_)
        | NodeRef::JsonTable(_)
        | NodeRef::JsonTableColumn(_)
        | NodeRef::JsonParseExpr(_)
        | NodeRef::JsonScalarExpr(_)
        | NodeRef::JsonSerializeExpr(_)
        | NodeRef::Integer(_)
        | NodeRef::Float(_)
        | NodeRef::Boolean(_)
        | NodeRef::String(_)
        | NodeRef::BitString(_)
        | NodeRef::List(_) => {}

        // Data in bulk.
        NodeRef::CopyStmt(s) => session::copy(walk, s),
        NodeRef::TruncateStmt(s) => walk.roles_of(&s.relations, Action::Truncate),
        NodeRef::LockStmt(s) => walk.roles_of(&s.relations, Action::Lock),

        // Definitions.
        NodeRef::CreateStmt(s) => ddl::create_table(walk, s),
        NodeRef::CreateForeignTableStmt(_) => {
            forbidden::refuse(walk, "42501", "permission denied for foreign server");
        }
        NodeRef::TableLikeClause(c) => walk.role(c.relation.as_ref(), Action::Usage),
        NodeRef::Constraint(c) => ddl::constraint(walk, c),
        NodeRef::PartitionCmd(c) => walk.role(c.name.as_ref(), Action::Alter),
        NodeRef::IndexStmt(s) => walk.role(s.relation.as_ref(), Action::Alter),
        NodeRef::IndexElem(e) => ddl::index_element(walk, &e.opclass, &e.collation),
        NodeRef::PartitionElem(e) => ddl::index_element(walk, &e.opclass, &e.collation),
        NodeRef::ViewStmt(s) => walk.role(s.view.as_ref(), Action::Create),
        NodeRef::CreateTableAsStmt(s) => {
            if let Some(into) = s.into.as_ref() {
                walk.role(into.rel.as_ref(), Action::Create);
            }
        }
        NodeRef::RefreshMatViewStmt(s) => walk.role(s.relation.as_ref(), Action::Maintain),
        NodeRef::CreateSeqStmt(s) => walk.role(s.sequence.as_ref(), Action::Create),
        NodeRef::AlterSeqStmt(s) => walk.role(s.sequence.as_ref(), Action::Alter),
        NodeRef::DefElem(e) => ddl::option(walk, e),
        NodeRef::AlterTableStmt(s) => walk.role(s.relation.as_ref(), Action::Alter),
        NodeRef::AlterTableCmd(c) => ddl::alter_table_command(walk, c),
        NodeRef::CreateFunctionStmt(s) => ddl::create_function(walk, s),
        NodeRef::AlterFunctionStmt(s) => {
            ddl::object_with_args(walk, s.func.as_ref(), Class::Function, Action::Alter)
        }
        NodeRef::CreateTrigStmt(s) => ddl::create_trigger(walk, s),
        NodeRef::RuleStmt(s) => walk.role(s.relation.as_ref(), Action::Alter),
        NodeRef::CreatePolicyStmt(s) => walk.role(s.table.as_ref(), Action::Alter),
        NodeRef::AlterPolicyStmt(s) => walk.role(s.table.as_ref(), Action::Alter),
        NodeRef::CreateDomainStmt(s) => ddl::named(walk, &s.domainname, Class::Type, Action::Create),
        NodeRef::CreateEnumStmt(s) => ddl::named(walk, &s.type_name, Class::Type, Action::Create),
        NodeRef::CreateRangeStmt(s) => ddl::named(walk, &s.type_name, Class::Type, Action::Create),
        NodeRef::AlterEnumStmt(s) => ddl::named(walk, &s.type_name, Class::Type, Action::Alter),
        NodeRef::AlterDomainStmt(s) => ddl::named(walk, &s.type_name, Class::Type, Action::Alter),
        NodeRef::AlterTypeStmt(s) => ddl::named(walk, &s.type_name, Class::Type, Action::Alter),
        NodeRef::CompositeTypeStmt(s) => ddl::composite(walk, s),
        NodeRef::CreateStatsStmt(s) => ddl::statistics(walk, s),
        NodeRef::AlterStatsStmt(s) => ddl::named(walk, &s.defnames, Class::Statistics, Action::Alter),
        NodeRef::DefineStmt(s) => ddl::define(walk, s),
        NodeRef::DropStmt(s) => ddl::drop_objects(walk, s),
        NodeRef::RenameStmt(s) => ddl::rename(walk, s),
        NodeRef::AlterObjectSchemaStmt(s) => ddl::set_schema(walk, s),
        NodeRef::AlterOwnerStmt(s) => ddl::set_owner(walk, s),
        NodeRef::AlterObjectDependsStmt(_) => {
            forbidden::refuse(walk, "42501", "permission denied for extension")
        }
        NodeRef::CommentStmt(s) => ddl::comment(walk, s),
        NodeRef::GrantStmt(s) => ddl::grant(walk, s),
        NodeRef::AlterCollationStmt(s) => ddl::named(walk, &s.collname, Class::Collation, Action::Alter),
        NodeRef::RoleSpec(r) => ddl::role(walk, r),
        NodeRef::ColumnDef(_)
        | NodeRef::PartitionSpec(_)
        | NodeRef::PartitionBoundSpec(_)
        | NodeRef::PartitionRangeDatum(_)
        | NodeRef::FunctionParameter(_)
        | NodeRef::ObjectWithArgs(_)
        | NodeRef::AccessPriv(_)
        | NodeRef::TriggerTransition(_)
        | NodeRef::ReplicaIdentityStmt(_)
        | NodeRef::AtalterConstraint(_)
        | NodeRef::StatsElem(_)
        | NodeRef::ReturnStmt(_)
        | NodeRef::AlterDefaultPrivilegesStmt(_)
        | NodeRef::RawStmt(_) => {}

        // Upkeep.
        NodeRef::VacuumStmt(_) => {}
        NodeRef::VacuumRelation(r) => walk.role(r.relation.as_ref(), Action::Maintain),
        NodeRef::ClusterStmt(s) => walk.role(s.relation.as_ref(), Action::Maintain),
        NodeRef::ReindexStmt(s) => ddl::reindex(walk, s),

        // The session.
        NodeRef::TransactionStmt(s) => session::transaction(walk, s),
        NodeRef::VariableSetStmt(s) => session::set(walk, s),
        NodeRef::VariableShowStmt(s) => session::show(walk, s),
        NodeRef::DiscardStmt(s) => session::discard(walk, s),
        NodeRef::PrepareStmt(s) => walk.effects.push(Effect::Prepare { name: s.name.clone() }),
        NodeRef::ExecuteStmt(s) => walk.effects.push(Effect::Execute { name: s.name.clone() }),
        NodeRef::DeallocateStmt(s) => session::deallocate(walk, s),
        NodeRef::DeclareCursorStmt(s) => session::declare(walk, s),
        NodeRef::ListenStmt(s) => session::channel(walk, &s.conditionname, Action::Listen, Effect::Listen),
        NodeRef::UnlistenStmt(s) => {
            session::channel(walk, &s.conditionname, Action::Listen, Effect::Unlisten)
        }
        NodeRef::NotifyStmt(s) => session::channel(walk, &s.conditionname, Action::Notify, Effect::Notify),
        NodeRef::ClosePortalStmt(_) => walk.effects.push(Effect::CloseCursor),
        NodeRef::DoStmt(s) => ddl::do_block(walk, s),
        NodeRef::CallStmt(_) => walk.effects.push(Effect::Opaque),
        NodeRef::ExplainStmt(_) | NodeRef::FetchStmt(_) | NodeRef::ConstraintsSetStmt(_) => {}

        // Read, never permitted to a tenant.
        NodeRef::GrantRoleStmt(_)
        | NodeRef::LoadStmt(_)
        | NodeRef::CreatedbStmt(_)
        | NodeRef::DropdbStmt(_)
        | NodeRef::AlterDatabaseStmt(_)
        | NodeRef::AlterDatabaseSetStmt(_)
        | NodeRef::AlterDatabaseRefreshCollStmt(_)
        | NodeRef::CreatePlangStmt(_)
        | NodeRef::CreateRoleStmt(_)
        | NodeRef::AlterRoleStmt(_)
        | NodeRef::AlterRoleSetStmt(_)
        | NodeRef::DropRoleStmt(_)
        | NodeRef::CheckPointStmt(_)
        | NodeRef::CreateSchemaStmt(_)
        | NodeRef::CreateConversionStmt(_)
        | NodeRef::CreateCastStmt(_)
        | NodeRef::CreateOpClassStmt(_)
        | NodeRef::CreateOpClassItem(_)
        | NodeRef::CreateOpFamilyStmt(_)
        | NodeRef::AlterOpFamilyStmt(_)
        | NodeRef::AlterOperatorStmt(_)
        | NodeRef::CreateTableSpaceStmt(_)
        | NodeRef::DropTableSpaceStmt(_)
        | NodeRef::AlterTableSpaceOptionsStmt(_)
        | NodeRef::AlterTableMoveAllStmt(_)
        | NodeRef::DropOwnedStmt(_)
        | NodeRef::ReassignOwnedStmt(_)
        | NodeRef::AlterTsdictionaryStmt(_)
        | NodeRef::AlterTsconfigurationStmt(_)
        | NodeRef::CreateFdwStmt(_)
        | NodeRef::AlterFdwStmt(_)
        | NodeRef::CreateForeignServerStmt(_)
        | NodeRef::AlterForeignServerStmt(_)
        | NodeRef::CreateUserMappingStmt(_)
        | NodeRef::AlterUserMappingStmt(_)
        | NodeRef::DropUserMappingStmt(_)
        | NodeRef::ImportForeignSchemaStmt(_)
        | NodeRef::SecLabelStmt(_)
        | NodeRef::CreateExtensionStmt(_)
        | NodeRef::AlterExtensionStmt(_)
        | NodeRef::AlterExtensionContentsStmt(_)
        | NodeRef::CreateEventTrigStmt(_)
        | NodeRef::AlterEventTrigStmt(_)
        | NodeRef::AlterSystemStmt(_)
        | NodeRef::CreateTransformStmt(_)
        | NodeRef::CreateAmStmt(_)
        | NodeRef::CreatePublicationStmt(_)
        | NodeRef::AlterPublicationStmt(_)
        | NodeRef::PublicationObjSpec(_)
        | NodeRef::PublicationTable(_)
        | NodeRef::CreateSubscriptionStmt(_)
        | NodeRef::AlterSubscriptionStmt(_)
        | NodeRef::DropSubscriptionStmt(_) => forbidden::statement(walk, node),

        // Made by PostgreSQL's analysis or planner, or by PL/pgSQL: never by parsing a statement.
        NodeRef::TableFunc(_)
        | NodeRef::Var(_)
        | NodeRef::Param(_)
        | NodeRef::Aggref(_)
        | NodeRef::WindowFunc(_)
        | NodeRef::WindowFuncRunCondition(_)
        | NodeRef::SubscriptingRef(_)
        | NodeRef::FuncExpr(_)
        | NodeRef::OpExpr(_)
        | NodeRef::DistinctExpr(_)
        | NodeRef::NullIfExpr(_)
        | NodeRef::ScalarArrayOpExpr(_)
        | NodeRef::SubPlan(_)
        | NodeRef::AlternativeSubPlan(_)
        | NodeRef::FieldSelect(_)
        | NodeRef::FieldStore(_)
        | NodeRef::RelabelType(_)
        | NodeRef::CoerceViaIo(_)
        | NodeRef::ArrayCoerceExpr(_)
        | NodeRef::ConvertRowtypeExpr(_)
        | NodeRef::CollateExpr(_)
        | NodeRef::CaseTestExpr(_)
        | NodeRef::ArrayExpr(_)
        | NodeRef::RowCompareExpr(_)
        | NodeRef::CoerceToDomain(_)
        | NodeRef::CoerceToDomainValue(_)
        | NodeRef::NextValueExpr(_)
        | NodeRef::InferenceElem(_)
        | NodeRef::TargetEntry(_)
        | NodeRef::RangeTblRef(_)
        | NodeRef::FromExpr(_)
        | NodeRef::OnConflictExpr(_)
        | NodeRef::Query(_)
        | NodeRef::SetOperationStmt(_)
        | NodeRef::RangeTblEntry(_)
        | NodeRef::RangeTblFunction(_)
        | NodeRef::TableSampleClause(_)
        | NodeRef::WithCheckOption(_)
        | NodeRef::SortGroupClause(_)
        | NodeRef::WindowClause(_)
        | NodeRef::RowMarkClause(_)
        | NodeRef::InlineCodeBlock(_)
        | NodeRef::CallContext(_)
        | NodeRef::IntList(_)
        | NodeRef::OidList(_)
        | NodeRef::MergeAction(_)
        | NodeRef::ReturningExpr(_)
        | NodeRef::PlassignStmt(_)
        | NodeRef::JsonConstructorExpr(_)
        | NodeRef::JsonExpr(_)
        | NodeRef::JsonTablePath(_)
        | NodeRef::JsonTablePathScan(_)
        | NodeRef::JsonTableSiblingJoin(_)
        | NodeRef::RtepermissionInfo(_) => walk.unknown("node of a plan"),
    }
}
