//! What a statement does to the session: the proxy's pooling decides by it.

/// How long a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Until the end of the session.
    Session,
    /// `SET LOCAL`: until the end of the transaction.
    Transaction,
}

/// One effect on the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`.
    Savepoint,
    /// Two-phase commit: `PREPARE TRANSACTION`, `COMMIT PREPARED`, `ROLLBACK PREPARED`.
    TwoPhase,
    /// A plain `SET name = constant, …` of one ordinary setting. `value` is SQL ready to stand behind `SET name TO`.
    Set {
        /// Lower-cased setting name.
        name: String,
        /// The value list as SQL text, or `None` for `SET … TO DEFAULT`.
        value: Option<String>,
        /// Session or transaction.
        scope: Scope,
    },
    /// `RESET name`.
    Reset {
        /// Lower-cased setting name.
        name: String,
    },
    /// `RESET ALL`.
    ResetAll,
    /// A setting changed in a way that cannot be replayed (`set_config` with session scope, non-constant arguments).
    OpaqueSetting,
    /// `DISCARD ALL`.
    DiscardAll,
    /// `DISCARD PLANS | SEQUENCES | TEMP`.
    Discard,
    /// SQL `PREPARE name`.
    Prepare {
        /// The statement's name.
        name: String,
    },
    /// SQL `EXECUTE name`.
    Execute {
        /// The statement's name.
        name: String,
    },
    /// `DEALLOCATE name`, or all of them.
    Deallocate {
        /// The statement's name; `None` is `ALL`.
        name: Option<String>,
    },
    /// `LISTEN channel`.
    Listen,
    /// `UNLISTEN channel` or `*`.
    Unlisten,
    /// `NOTIFY`, `pg_notify`.
    Notify,
    /// A session-level advisory lock is taken.
    AdvisoryLock,
    /// Session-level advisory locks are released.
    AdvisoryUnlock,
    /// A temporary object is made or used by name.
    TempObject,
    /// A cursor declared `WITH HOLD`.
    HoldCursor,
    /// `CLOSE cursor` or `ALL`.
    CloseCursor,
    /// `COPY … FROM STDIN`.
    CopyIn,
    /// `COPY … TO STDOUT`.
    CopyOut,
    /// `currval`, `lastval`: needs the server connection that ran `nextval`.
    SequenceState,
    /// Code that no reader sees into (`DO`, `CALL`): may have changed anything in the session.
    Opaque,
}

/// Whether a statement reads, writes data, changes the schema, or none of these: what the audit trail sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reads only.
    Read,
    /// Writes rows.
    Write,
    /// Changes definitions.
    Ddl,
    /// Transaction control, settings, cursors, session management.
    Session,
}
