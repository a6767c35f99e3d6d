//! The named limits that hold before any parser sees a text.

/// Limits on one text. Every field is in the configuration reference under `[proxy.limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest text, in bytes. Longer data goes through COPY or parameters.
    pub statement_bytes: usize,
    /// Most statements in one simple query.
    pub statements: usize,
    /// Most operators, parentheses and keywords that nest, in one text: bounds the depth of every tree.
    pub operators: usize,
    /// Budget for the sum of the squares of the lengths of runs of operator characters; PostgreSQL's lexer is
    /// quadratic in them.
    pub operator_run_budget: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_bytes: 1 << 20,
            statements: 1_000,
            operators: 20_000,
            operator_run_budget: 1_000_000,
        }
    }
}
