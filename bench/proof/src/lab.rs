//! What the victims have: rows, names, comments, sources and labels, each with a token that only this victim has.

use rand::Rng;
use rand::rngs::StdRng;

/// One victim's tokens. None is a part of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Stands in rows.
    pub row: String,
    /// Stands in comments.
    pub comment: String,
    /// Stands in bodies, views, checks, defaults, policies.
    pub source: String,
    /// Stands in enum labels.
    pub label: String,
    /// Stands in names of objects that the attacker is not told of.
    pub name: String,
}

impl Tokens {
    /// New tokens.
    #[must_use]
    pub fn random(rng: &mut StdRng) -> Self {
        let mut token = |kind: &str| format!("zq{kind}{:012x}", rng.random::<u64>() & 0xffff_ffff_ffff);
        Self { row: token("r"), comment: token("c"), source: token("s"), label: token("l"), name: token("n") }
    }

    /// Each with what it stands in.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &str); 5] {
        [
            ("row", &self.row),
            ("comment", &self.comment),
            ("source", &self.source),
            ("label", &self.label),
            ("name", &self.name),
        ]
    }
}

/// One tenant of a run.
#[derive(Debug, Clone)]
pub struct Lab {
    /// What the tenant is called.
    pub slug: String,
    /// Its schema in the database.
    pub schema: String,
    /// What the tenant itself calls that schema.
    pub space: String,
    /// What its objects carry.
    pub tokens: Tokens,
}

/// Relations that every tenant of a run has, under names that the attackers know.
pub(crate) const RELATIONS: [&str; 4] = ["known_t", "known_v", "known_s", "users"];

/// A prepared statement of every victim, under a name that the attackers know.
pub(crate) const PREPARED: &str = "proof_statement";

impl Lab {
    /// The statements that make a tenant's objects, as its owner.
    #[must_use]
    pub fn sql(&self) -> String {
        let Tokens { row, comment, source, label, name } = &self.tokens;
        format!(
            "CREATE TYPE known_e AS ENUM ('{label}_a', '{label}_b');
             CREATE TABLE known_t (id int PRIMARY KEY, v text DEFAULT '{source}', e known_e DEFAULT '{label}_a',
               CONSTRAINT known_c CHECK (v <> '{source}_never'));
             INSERT INTO known_t SELECT g, '{row}_' || g FROM generate_series(1, 50) g;
             CREATE VIEW known_v AS SELECT id, v, '{source}'::text AS s FROM known_t;
             CREATE SEQUENCE known_s START 4711;
             CREATE FUNCTION known_f() RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN '{source}'; END$$;
             CREATE TABLE {name}_t ({name}_c int PRIMARY KEY, v text); INSERT INTO {name}_t VALUES (1, '{row}');
             CREATE INDEX {name}_i ON known_t (lower(v)) WHERE v <> '{source}';
             CREATE FUNCTION {name}_f({name}_p int DEFAULT 7) RETURNS int LANGUAGE sql AS 'SELECT 1 /* {source} */';
             CREATE FUNCTION {name}_g() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN /* {source} */ RETURN NEW; END$$;
             CREATE TRIGGER {name}_r BEFORE UPDATE ON {name}_t FOR EACH ROW EXECUTE FUNCTION {name}_g();
             CREATE RULE {name}_u AS ON DELETE TO {name}_t WHERE OLD.v = '{source}' DO INSTEAD NOTHING;
             ALTER TABLE {name}_t ENABLE ROW LEVEL SECURITY; CREATE POLICY {name}_y ON {name}_t USING (v <> '{source}');
             CREATE STATISTICS {name}_z ON id, v FROM known_t; CREATE DOMAIN {name}_d AS text CHECK (VALUE <> '{source}');
             COMMENT ON TABLE known_t IS '{comment}'; COMMENT ON COLUMN known_t.v IS '{comment}';
             COMMENT ON FUNCTION known_f() IS '{comment}'; ANALYZE known_t"
        )
    }
}
