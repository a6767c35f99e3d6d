"""SQLAlchemy: usage sqlalchemy_.py URL SCRIPT (the script is not played: an ORM writes its own SQL)"""
import datetime
import decimal
import enum
import sys
import uuid

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

import orm
from pyplay import diagnosis


class Base(DeclarativeBase):
    pass


class State(enum.Enum):
    new = "new"
    paid = "paid"


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    key: Mapped[uuid.UUID] = mapped_column(sa.Uuid, server_default=sa.func.gen_random_uuid())
    extra: Mapped[dict] = mapped_column(pg.JSONB, default=dict)
    tags: Mapped[list] = mapped_column(pg.ARRAY(sa.Text), default=list)
    seen: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    bills: Mapped[list["Bill"]] = relationship(back_populates="customer", cascade="all, delete-orphan", order_by="Bill.id")


class Bill(Base):
    __tablename__ = "bill"
    __table_args__ = (sa.CheckConstraint("amount >= 0", name="amount_is_positive"), sa.Index("bill_by_state", "state"))
    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id", ondelete="CASCADE"))
    amount: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    state: Mapped[State] = mapped_column(sa.Enum(State, name="bill_state"), default=State.new)
    customer: Mapped[Customer] = relationship(back_populates="bills")


class Work:
    def __init__(self, url):
        self._engine = sa.create_engine(url.replace("postgres://", "postgresql+psycopg://"), pool_size=2)

    def create_all(self):
        Base.metadata.create_all(self._engine)
        Base.metadata.create_all(self._engine)  # the second finds everything there
        return sorted(Base.metadata.tables)

    def table_names(self):
        inspector = sa.inspect(self._engine)
        return [inspector.default_schema_name, sorted(inspector.get_schema_names()), sorted(inspector.get_table_names()), inspector.get_view_names()]

    def columns(self):
        return [{k: str(v) for k, v in c.items()} for c in sa.inspect(self._engine).get_columns("bill")]

    def keys_and_constraints(self):
        inspector = sa.inspect(self._engine)
        return [str(f("bill")) for f in (inspector.get_pk_constraint, inspector.get_foreign_keys, inspector.get_check_constraints, inspector.get_indexes)] + [
            str(inspector.get_unique_constraints("customer")), str(inspector.get_enums()), str(inspector.get_table_comment("bill"))]

    def columns_of_schema_public(self):
        return [[c["name"], str(c["type"])] for c in sa.inspect(self._engine).get_columns("customer", schema="public")]

    def reflect(self):
        metadata = sa.MetaData()
        metadata.reflect(self._engine)
        return {t.name: [[c.name, str(c.type), c.nullable] for c in t.columns] for t in metadata.sorted_tables}

    def insert(self):
        with Session(self._engine) as session:
            session.add_all(
                Customer(name=f"customer {i}", extra={"n": [i, None]}, tags=["a,b", 'c"d'], bills=[Bill(amount=decimal.Decimal(f"{i}.50")) for _ in range(i)])
                for i in range(4))
            session.commit()
            return session.scalar(sa.select(sa.func.count()).select_from(Bill))

    def read_with_relations(self):
        with Session(self._engine) as session:
            found = session.scalars(sa.select(Customer).options(selectinload(Customer.bills)).order_by(Customer.id)).all()
            return [[c.id, c.name, c.extra, c.tags, [[b.id, str(b.amount), b.state.name] for b in c.bills]] for c in found]

    def join_and_group(self):
        with Session(self._engine) as session:
            total = sa.func.sum(Bill.amount)
            rows = session.execute(sa.select(Customer.name, total).join(Bill).where(Customer.extra["n"][0].as_integer() > 1).group_by(Customer.name).order_by(total.desc()))
            return [[name, str(amount)] for name, amount in rows]

    def update(self):
        with Session(self._engine) as session:
            done = session.execute(sa.update(Bill).where(Bill.amount > 2).values(state=State.paid).returning(Bill.id))
            ids = sorted(done.scalars())
            session.commit()
            return ids

    def upsert(self):
        insert = pg.insert(Customer).values(name="customer 1", tags=[], extra={})
        with Session(self._engine) as session:
            found = session.scalar(insert.on_conflict_do_update(index_elements=["name"], set_={"extra": {"again": True}}).returning(Customer.id))
            session.commit()
            return found

    def unique_violation(self):
        with Session(self._engine) as session:
            session.add(Customer(name="customer 1"))
            session.commit()

    def check_violation_in_a_savepoint(self):
        with Session(self._engine) as session:
            customer = session.scalars(sa.select(Customer).order_by(Customer.id)).first()
            try:
                with session.begin_nested():
                    session.add(Bill(customer_id=customer.id, amount=-1))
            except sa.exc.IntegrityError as e:
                failed = _error(e)
            session.add(Bill(customer_id=customer.id, amount=7))
            session.commit()
            return [failed, session.scalar(sa.select(sa.func.count()).select_from(Bill))]

    def stream(self):
        with self._engine.connect().execution_options(yield_per=3) as connection:
            return [len(part) for part in connection.execute(sa.text("SELECT i FROM generate_series(1, 10) i")).partitions()]

    def delete(self):
        with Session(self._engine) as session:
            session.delete(session.scalars(sa.select(Customer).where(Customer.name == "customer 3")).one())
            session.commit()
            return session.scalar(sa.select(sa.func.count()).select_from(Bill))

    def drop_all(self):
        Base.metadata.drop_all(self._engine)
        return sorted(sa.inspect(self._engine).get_table_names())


def _error(e):
    diag = getattr(getattr(e, "orig", None), "diag", None)
    return {"class": type(e).__name__, **diagnosis(diag)} if diag else {"class": type(e).__name__, "text": str(e)}


if __name__ == "__main__":
    orm.play(Work(sys.argv[1]), _error)
