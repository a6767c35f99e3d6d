//! What a statement that writes rows does to its target: each thing that PostgreSQL asks a privilege for.

use pg_query::NodeRef;
use pg_query::protobuf as p;

use crate::access::Action;
use crate::read::children::children;
use crate::read::walk::Walk;

/// `INSERT`: its conflict's other way updates, and an arbiter or RETURNING reads.
pub(super) fn insert(walk: &mut Walk<'_>, insert: &p::InsertStmt) {
    let conflict = insert.on_conflict_clause.as_deref();
    let updates = conflict.is_some_and(|c| c.action == p::OnConflictAction::OnconflictUpdate as i32);
    let reads = conflict.is_some_and(|c| updates || c.infer.is_some()) || returns(&insert.returning_clause);
    walk.target(
        insert.relation.as_ref(),
        Action::Insert,
        [updates.then_some(Action::Update), select(reads), None],
    );
}

/// `UPDATE`: what its condition, its values or RETURNING name is read.
pub(super) fn update(walk: &mut Walk<'_>, update: &p::UpdateStmt) {
    let reads = some_column(update.where_clause.as_deref())
        || columns(&update.target_list)
        || returns(&update.returning_clause);
    walk.target(update.relation.as_ref(), Action::Update, [select(reads), None, None]);
}

/// `DELETE`: what its condition or RETURNING name is read.
pub(super) fn delete(walk: &mut Walk<'_>, delete: &p::DeleteStmt) {
    let reads = some_column(delete.where_clause.as_deref()) || returns(&delete.returning_clause);
    walk.target(delete.relation.as_ref(), Action::Delete, [select(reads), None, None]);
}

/// `MERGE`: its target is read, and written as its branches say.
pub(super) fn merge(walk: &mut Walk<'_>, merge: &p::MergeStmt) {
    let mut branches = [None; 3];
    for node in &merge.merge_when_clauses {
        let command = match node.node.as_ref() {
            Some(p::node::Node::MergeWhenClause(clause)) => clause.command_type(),
            _ => p::CmdType::Undefined,
        };
        match command {
            p::CmdType::CmdInsert => branches[0] = Some(Action::Insert),
            p::CmdType::CmdUpdate => branches[1] = Some(Action::Update),
            p::CmdType::CmdDelete => branches[2] = Some(Action::Delete),
            p::CmdType::CmdNothing => {}
            p::CmdType::Undefined
            | p::CmdType::CmdUnknown
            | p::CmdType::CmdSelect
            | p::CmdType::CmdMerge
            | p::CmdType::CmdUtility => walk.unknown("MERGE action"),
        }
    }
    walk.target(merge.relation.as_ref(), Action::Select, branches);
}

fn select(reads: bool) -> Option<Action> {
    reads.then_some(Action::Select)
}

fn returns(clause: &Option<p::ReturningClause>) -> bool {
    clause.as_ref().is_some_and(|clause| columns(&clause.exprs))
}

fn columns(nodes: &[p::Node]) -> bool {
    nodes.iter().any(|node| some_column(Some(node)))
}

/// Whether a column is named in an expression: of this target or of another relation, which the tree does not tell.
fn some_column(node: Option<&p::Node>) -> bool {
    node.and_then(|node| node.node.as_ref()).is_some_and(|node| has_column(node.to_ref()))
}

fn has_column(node: NodeRef<'_>) -> bool {
    let mut found = matches!(node, NodeRef::ColumnRef(_));
    children(node, &mut |child| found = found || has_column(child));
    found
}
