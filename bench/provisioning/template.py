"""The template that the goals speak of: 20 tables with 60 indexes, and the change of the catalog for the migration."""

TABLES = 20


def first():
    out = []
    for n in range(TABLES):
        parent = f", parent_id bigint REFERENCES t{n - 1} (id)" if n % 4 else ""
        out.append(
            f"CREATE TABLE t{n} (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL,"
            f" state text NOT NULL DEFAULT 'new', amount numeric(12,2) CHECK (amount >= 0),"
            f" created_at timestamptz NOT NULL DEFAULT now(){parent});"
        )
        out.append(f"CREATE INDEX t{n}_name ON t{n} (name);")
        out.append(f"CREATE INDEX t{n}_state ON t{n} (state, created_at);")
    return "\n".join(out) + "\n"


def second():
    return "ALTER TABLE t0 ADD COLUMN note text;\nALTER TABLE t1 ADD COLUMN note text;\n"
