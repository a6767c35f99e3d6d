"""Alembic: usage alembic_.py URL SCRIPT (the script is not played: migrations write their own SQL)"""
import re
import sys

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql as pg

import orm
from sqlalchemy_ import Base, _error


class Work:
    def __init__(self, url):
        self._engine = sa.create_engine(url.replace("postgres://", "postgresql+psycopg://"))
        with self._engine.connect() as connection:  # the template's own tables are no part of the application
            self._before = set(sa.inspect(connection).get_table_names())

    def _ours(self, _object, name, kind, _reflected, _other):
        return kind != "table" or name not in self._before | {"alembic_version"}

    def _context(self, connection):
        return MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True, "include_object": self._ours, "target_metadata": Base.metadata})

    def _step(self, change):
        with self._engine.begin() as connection, Operations.context(self._context(connection)) as op:
            change(op)

    def generated_for_an_empty_database(self):
        with self._engine.connect() as connection:
            return render_python_code(produce_migrations(self._context(connection), Base.metadata).upgrade_ops)

    def upgrade(self):
        with self._engine.begin() as connection:
            Base.metadata.create_all(connection)
            self._context(connection)._ensure_version_table()
            connection.execute(sa.text("INSERT INTO alembic_version VALUES ('1a')"))
        with self._engine.connect() as connection:
            return self._context(connection).get_current_heads()

    def nothing_to_generate(self):
        with self._engine.connect() as connection:
            return [str(change) for change in compare_metadata(self._context(connection), Base.metadata)]

    def alter(self):
        def change(op):
            op.add_column("customer", sa.Column("country", sa.String(2), server_default="XX", nullable=False))
            op.alter_column("bill", "amount", type_=sa.Numeric(12, 3), existing_type=sa.Numeric(10, 2))
            op.create_index("customer_by_tags", "customer", ["tags"], postgresql_using="gin")
            op.create_unique_constraint("one_key", "customer", ["key"])
            op.drop_constraint("amount_is_positive", "bill", type_="check")
            op.create_table("note", sa.Column("id", sa.Integer, primary_key=True), sa.Column("bill_id", sa.Integer, sa.ForeignKey("bill.id")), sa.Column("span", pg.TSTZRANGE))
            op.bulk_insert(sa.table("customer", sa.column("name"), sa.column("extra", pg.JSONB), sa.column("tags", pg.ARRAY(sa.Text))), [{"name": "x", "extra": {}, "tags": ["a"]}])
            op.execute("ALTER TYPE bill_state ADD VALUE 'void'")
        self._step(change)
        return "done"

    def what_is_different_now(self):
        with self._engine.connect() as connection:
            return sorted(re.sub(" at 0x[0-9a-f]+", "", str(change)) for change in compare_metadata(self._context(connection), Base.metadata))

    def generated_to_lead_back(self):
        with self._engine.connect() as connection:
            return render_python_code(produce_migrations(self._context(connection), Base.metadata).upgrade_ops)

    def a_step_that_fails_leaves_nothing(self):
        def change(op):
            op.add_column("bill", sa.Column("lost", sa.Integer))
            op.create_unique_constraint("bad", "bill", ["nope"])
        self._step(change)

    def columns_after_it(self):
        return [c["name"] for c in sa.inspect(self._engine).get_columns("bill")]

    def rename(self):
        def change(op):
            op.rename_table("note", "memo")
            op.alter_column("memo", "span", new_column_name="period")
            op.drop_column("customer", "country")
        self._step(change)
        return [c["name"] for c in sa.inspect(self._engine).get_columns("memo")]

    def downgrade(self):
        self._step(lambda op: op.drop_table("memo"))
        Base.metadata.drop_all(self._engine)
        return sorted(set(sa.inspect(self._engine).get_table_names()) - self._before)


if __name__ == "__main__":
    orm.play(Work(sys.argv[1]), _error)
