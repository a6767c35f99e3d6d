//! The walk over PostgreSQL's tree: scopes, places and the accesses of one statement.

use std::collections::HashMap;
use std::ops::Range;

use pg_query::NodeRef;
use pg_query::protobuf as p;

use crate::access::{Access, Action, Class, Place, Reader};
use crate::effect::Effect;
use crate::read::children::children;
use crate::read::lex::Tokens;
use crate::read::session::Calls;
use crate::read::{BodyName, ReadError, facts};
use crate::verdict::Reason;

/// What is known of some nodes of the tree, by their address within it: the tree is owned by the caller for longer than
/// the walk, and the address only tells nodes apart.
pub(super) type Addressed<N, T> = HashMap<*const N, T, foldhash::fast::RandomState>;

/// Collects what one statement names.
pub(super) struct Walk<'t> {
    pub(super) tokens: &'t Tokens<'t>,
    /// The statement's bytes.
    pub(super) within: Range<usize>,
    pub(super) accesses: Vec<Access>,
    pub(super) effects: Vec<Effect>,
    pub(super) forbidden: Option<ReadError>,
    /// A node that no reader of this version understands.
    pub(super) unknown: Option<&'static str>,
    /// What is done to particular relations of the tree, by their address within it; others are read.
    roles: Addressed<p::RangeVar, Role>,
    /// Names of common table expressions in sight, innermost last, and how often each is in sight.
    ctes: Vec<String>,
    in_sight: HashMap<String, usize>,
    /// Whether this is the body of a function.
    pub(super) in_body: bool,
    /// Whether the statement is a SET by itself: then its value ends where the statement ends.
    pub(super) set_is_statement: bool,
    /// What the bodies of functions name, where they are dollar-quoted; and whether all are.
    pub(super) body_names: Vec<BodyName>,
    /// Whether what a string constant says, or whether it is a number, has a part in the reading.
    pub(super) reads_constants: bool,
    pub(super) bodies_open: bool,
    /// What is known of the calls in the list of a top-level SELECT.
    pub(super) calls: Calls,
    /// Types of casts whose operand is a constant that is judged as a name, by their address: they name nothing more.
    pub(super) judged_types: Addressed<p::TypeName, ()>,
    /// Types of numbers of objects that something is cast to which may be a name put together by the server, with the
    /// location of the cast.
    pub(super) computed_types: Addressed<p::TypeName, i32>,
}

/// What a statement does to a relation that it names as such.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// This and these, and a common table expression never stands for it.
    Target(Action, [Option<Action>; 3]),
    /// Nothing: an alias (`FOR UPDATE OF t`).
    Alias,
}

impl<'t> Walk<'t> {
    pub(super) fn new(tokens: &'t Tokens<'t>, within: Range<usize>) -> Self {
        Self {
            tokens,
            within,
            accesses: Vec::new(),
            effects: Vec::new(),
            forbidden: None,
            unknown: None,
            roles: Addressed::default(),
            ctes: Vec::new(),
            in_sight: HashMap::new(),
            in_body: false,
            set_is_statement: false,
            body_names: Vec::new(),
            reads_constants: false,
            bodies_open: true,
            calls: Calls::Unknown,
            judged_types: Addressed::default(),
            computed_types: Addressed::default(),
        }
    }

    /// Says what is done to a relation below the current node.
    pub(super) fn role(&mut self, relation: Option<&p::RangeVar>, action: Action) {
        self.target(relation, action, [None; 3]);
    }

    /// Says what else is done to a relation below the current node.
    pub(super) fn target(
        &mut self,
        relation: Option<&p::RangeVar>,
        action: Action,
        also: [Option<Action>; 3],
    ) {
        if let Some(relation) = relation {
            self.roles.insert(relation, Role::Target(action, also));
        }
    }

    /// Says that a relation below the current node is an alias.
    pub(super) fn alias(&mut self, relation: &p::RangeVar) {
        self.roles.insert(relation, Role::Alias);
    }

    /// Visits a node and everything below it.
    pub(super) fn node(&mut self, node: NodeRef<'_>) {
        match node {
            NodeRef::RangeVar(relation) => self.relation(relation),
            NodeRef::SelectStmt(s) => self.scoped(node, s.with_clause.as_ref()),
            NodeRef::InsertStmt(s) => self.scoped(node, s.with_clause.as_ref()),
            NodeRef::UpdateStmt(s) => self.scoped(node, s.with_clause.as_ref()),
            NodeRef::DeleteStmt(s) => self.scoped(node, s.with_clause.as_ref()),
            NodeRef::MergeStmt(s) => self.scoped(node, s.with_clause.as_ref()),
            _ => {
                facts::enter(self, node);
                self.below(node);
            }
        }
    }

    /// Visits everything below a node.
    pub(super) fn below(&mut self, node: NodeRef<'_>) {
        children(node, &mut |child| {
            // The tree is owned by the caller for longer than this walk; the address only tells nodes apart.
            self.node(child);
        });
    }

    /// A statement with a WITH clause: its names are in sight of the whole statement and of nothing outside.
    fn scoped(&mut self, node: NodeRef<'_>, with: Option<&p::WithClause>) {
        let outside = self.ctes.len();
        facts::enter(self, node);
        if let Some(with) = with {
            self.with_clause(with);
        }
        children(node, &mut |child| {
            if !matches!(child, NodeRef::WithClause(_)) {
                self.node(child);
            }
        });
        while self.ctes.len() > outside {
            self.forget_cte();
        }
    }

    /// A query of a WITH clause sees the names before it; with RECURSIVE all of them, its own included.
    fn with_clause(&mut self, with: &p::WithClause) {
        let ctes = || {
            with.ctes.iter().filter_map(|n| match n.node.as_ref() {
                Some(p::node::Node::CommonTableExpr(cte)) => Some(cte),
                _ => None,
            })
        };
        if with.recursive {
            ctes().for_each(|cte| self.see_cte(&cte.ctename));
        }
        for cte in ctes() {
            self.below(NodeRef::CommonTableExpr(cte));
            if !with.recursive {
                self.see_cte(&cte.ctename);
            }
        }
    }

    fn see_cte(&mut self, name: &str) {
        self.ctes.push(name.to_owned());
        *self.in_sight.entry(name.to_owned()).or_default() += 1;
    }

    fn forget_cte(&mut self) {
        let Some(name) = self.ctes.pop() else { return };
        if let Some(times) = self.in_sight.get_mut(&name) {
            *times -= 1;
            if *times == 0 {
                self.in_sight.remove(&name);
            }
        }
    }

    fn relation(&mut self, relation: &p::RangeVar) {
        let role = self.roles.get(&std::ptr::from_ref(relation)).copied();
        let (action, also) = match role {
            Some(Role::Alias) => return,
            Some(Role::Target(action, also)) => (action, also),
            None if relation.schemaname.is_empty() && self.in_sight.contains_key(&relation.relname) => return,
            None => (Action::Select, [None; 3]),
        };
        if relation.relpersistence == "t" && action == Action::Create {
            self.effects.push(Effect::TempObject);
            // A temporary relation lives in the session's own schema whatever the path says.
            if relation.schemaname.is_empty() {
                return;
            }
        }
        let parts = [&relation.catalogname, &relation.schemaname, &relation.relname];
        for action in std::iter::once(action).chain(also.into_iter().flatten()) {
            self.name(Class::Relation, action, parts.map(String::as_str), relation.location);
        }
    }

    /// Records a name whose tree node has a location.
    pub(super) fn name(&mut self, class: Class, action: Action, parts: [&str; 3], location: i32) {
        let written = parts.iter().filter(|part| !part.is_empty()).count();
        let mut place = self.tokens.place(location, written);
        if place == Place::Unknown && location < 0 {
            place = self.search(&parts);
        }
        self.push(class, action, parts, place);
    }

    /// Records a name that the tree holds as a list without a location.
    pub(super) fn listed(&mut self, class: Class, action: Action, names: &[&str]) {
        let parts = match names {
            [name] => ["", "", *name],
            [schema, name] => ["", *schema, *name],
            [database, schema, name] => [*database, *schema, *name],
            _ => return self.unknown("name"),
        };
        let place = self.search(&parts);
        self.push(class, action, parts, place);
    }

    fn search(&self, parts: &[&str; 3]) -> Place {
        let words: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
        if words.is_empty() { Place::Unknown } else { self.tokens.find(&self.within, &words) }
    }

    /// Records an access.
    pub(super) fn push(&mut self, class: Class, action: Action, parts: [&str; 3], place: Place) {
        let some = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        if parts[1].starts_with("pg_temp") {
            self.effects.push(Effect::TempObject);
        }
        let place = if self.in_body { Place::Body } else { place };
        self.accesses.push(Access {
            class,
            action,
            database: some(parts[0]),
            schema: some(parts[1]),
            name: parts[2].to_owned(),
            value: None,
            place,
            cast: None,
            literal: false,
            reader: Reader::Grammar,
        });
    }

    /// Records an access that a string constant or a setting's value names.
    pub(super) fn push_literal(&mut self, class: Class, action: Action, parts: [&str; 3], place: Place) {
        self.push(class, action, parts, place);
        if let Some(access) = self.accesses.last_mut() {
            access.literal = true;
        }
    }

    /// Marks the statement as one that is never permitted, in PostgreSQL's words.
    pub(super) fn forbid(&mut self, sqlstate: &'static str, message: impl Into<String>, reason: Reason) {
        if self.forbidden.is_none() {
            self.forbidden =
                Some(ReadError { sqlstate, message: message.into(), hint: None, position: None, reason });
        }
    }

    /// Marks the statement as not understood.
    pub(super) fn unknown(&mut self, what: &'static str) {
        self.unknown.get_or_insert(what);
    }
}

/// The strings of a list of `String` nodes; `None` where something else stands in it.
pub(super) fn strings(nodes: &[p::Node]) -> Option<Vec<&str>> {
    nodes
        .iter()
        .map(|n| match n.node.as_ref() {
            Some(p::node::Node::String(s)) => Some(s.sval.as_str()),
            _ => None,
        })
        .collect()
}

/// A list of one to three strings as database, schema and name; empty where not written.
pub(super) fn parts<'n>(names: &[&'n str]) -> Option<[&'n str; 3]> {
    match names {
        [name] => Some(["", "", name]),
        [schema, name] => Some(["", schema, name]),
        [database, schema, name] => Some([database, schema, name]),
        _ => None,
    }
}

impl Walk<'_> {
    /// Says what is done to every relation of a list.
    pub(super) fn roles_of(&mut self, relations: &[p::Node], action: Action) {
        for node in relations {
            if let Some(p::node::Node::RangeVar(relation)) = node.node.as_ref() {
                self.role(Some(relation), action);
            }
        }
    }
}
