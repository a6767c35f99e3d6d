//! `pg_dump` of a tenant through the proxy, restored into another tenant through the proxy: the second dump is the first.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::process::Command;

use common::{Installation, connect};

/// One of each kind of thing that a tenant's owner makes.
const OBJECTS: &str = "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
    CREATE TYPE pair AS (a int, b text); CREATE TYPE span AS RANGE (subtype = float8);
    CREATE TABLE pay (id serial PRIMARY KEY, m mood DEFAULT 'low', s short, p pair, of regclass DEFAULT 'users',
      total numeric CHECK (total > 0), doc tsvector GENERATED ALWAYS AS (to_tsvector('english', 'x')) STORED);
    INSERT INTO pay (m, s, p, of, total) VALUES ('high', 'abc', ROW(1, 'x'), 'orders', 3);
    CREATE TABLE part (at date, n int) PARTITION BY RANGE (at);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO part VALUES ('2026-02-03', 4);
    CREATE VIEW seen AS SELECT id, of::text AS of FROM public.pay; CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM pay;
    CREATE FUNCTION name_of(x regclass) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN x::oid::regclass::text; END$$;
    CREATE FUNCTION doubled(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
    CREATE AGGREGATE most (int) (SFUNC = int4larger, STYPE = int); CREATE SEQUENCE numbers OWNED BY pay.id;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
    CREATE TRIGGER stamped BEFORE UPDATE ON pay FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE INDEX by_total ON pay (doubled(id)) WHERE total > 1; CREATE STATISTICS two ON id, total FROM pay;
    CREATE RULE kept AS ON DELETE TO part DO INSTEAD NOTHING;
    ALTER TABLE pay ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON pay USING (total > 0);
    COMMENT ON TABLE pay IS 'who''s paid'; COMMENT ON COLUMN pay.total IS 'in cents';
    COMMENT ON FUNCTION doubled(int) IS 'said of doubled'; COMMENT ON TYPE mood IS 'said of mood'; COMMENT ON POLICY all_of_it ON pay IS 'said of a policy';
    COMMENT ON CONSTRAINT pay_total_check ON pay IS 'said of a constraint'; COMMENT ON TRIGGER stamped ON pay IS 'said of a trigger'; GRANT SELECT (id) ON pay TO app";

/// A dump without the random words that newer releases put around it, and without a setting that pg_dump 17 and newer
/// write for servers of their own age.
fn dump(url: &str, options: &[&str]) -> String {
    let done = tool("pg_dump").args(options).arg(url).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines()
        .filter(|line| {
            !["\\restrict", "\\unrestrict", "SET transaction_timeout"]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// One of PostgreSQL's client programs, of the newest release that is installed.
fn tool(name: &str) -> Command {
    let list = "ls -d ${PG_BINDIR:-/usr/lib/postgresql/*/bin} | sort -V | tail -1";
    let folder = Command::new("sh").args(["-c", list]).output().unwrap().stdout;
    Command::new(format!("{}/{name}", String::from_utf8(folder).unwrap().trim()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_goes_from_tenant_to_tenant() {
    let palisade = Installation::start("dump", true);
    let env = palisade.env();
    let (from, to) = (&env["PALISADE_URL_ACME_OWNER"], &env["PALISADE_URL_GLOBEX_OWNER"]);
    connect(from).await.batch_execute(OBJECTS).await.unwrap();
    let options = ["--clean", "--if-exists"];
    let first = dump(from, &options);
    for physical in ["t_", "palisade", "_l_owner"] {
        let found = first
            .lines()
            .find(|line| line.split([' ', '.', '"', '\'']).any(|word| word.starts_with(physical)));
        assert_eq!(found, None, "a name of the database itself");
    }
    assert_eq!(first.matches("said of").count(), 5, "comments on all sorts of objects");
    let file = palisade.folder().join("dump.sql");
    // The schema itself belongs to the tenant already.
    std::fs::write(&file, &first).unwrap();
    let done = tool("psql").args(["-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file).arg(to).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(dump(to, &options), first);
    let answer = connect(to).await.query_one("SELECT name_of(of), total FROM pay", &[]).await;
    assert_eq!(answer.unwrap().get::<_, String>(0), "orders");
}
