//! diesel in the client matrix: `client-diesel URL SCRIPT` (the script is not played: what is shown is what diesel does by
//! itself, over libpq: its migrations, its statement cache, its queries).

use diesel::migration::MigrationSource;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorInformation, Error};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use palisade_clients::emit;
use serde_json::{Value, json};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

diesel::table! {
    customer (id) { id -> Int4, name -> Varchar, }
}
diesel::table! {
    bill (id) {
        id -> Int4,
        customer_id -> Int4,
        amount -> Int4,
        tags -> Array<Text>,
        extra -> Jsonb,
        made -> Timestamptz,
    }
}
diesel::joinable!(bill -> customer (customer_id));
diesel::allow_tables_to_appear_in_same_query!(bill, customer);

#[derive(Insertable)]
#[diesel(table_name = bill)]
struct NewBill {
    customer_id: i32,
    amount: i32,
    tags: Vec<String>,
    extra: Value,
}

type Outcome = Result<Value, Error>;

fn other(error: impl std::fmt::Display) -> Error {
    Error::QueryBuilderError(error.to_string().into())
}

fn migrations(c: &mut PgConnection) -> Outcome {
    let done = c.run_pending_migrations(MIGRATIONS).map_err(other)?.iter().map(ToString::to_string).collect::<Vec<_>>();
    let again = c.run_pending_migrations(MIGRATIONS).map_err(other)?.len();
    let applied = c.applied_migrations().map_err(other)?.iter().map(ToString::to_string).collect::<Vec<_>>();
    let known = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(other)?.len();
    Ok(json!([done, again, applied, known]))
}

fn insert(c: &mut PgConnection) -> Outcome {
    let names: Vec<_> = (1..4).map(|n| customer::name.eq(format!("customer {n}"))).collect();
    let ids: Vec<i32> = diesel::insert_into(customer::table).values(names).returning(customer::id).get_results(c)?;
    let bills: Vec<NewBill> = ids
        .iter()
        .flat_map(|id| (0..3).map(|n| NewBill { customer_id: *id, amount: n * 10, tags: vec!["a,b".into()], extra: json!({ "n": n }) }))
        .collect();
    let made = diesel::insert_into(bill::table).values(&bills).execute(c)?;
    Ok(json!([ids, made]))
}

fn read(c: &mut PgConnection) -> Outcome {
    let rows: Vec<(i32, String, i32, Vec<String>, Value, chrono::DateTime<chrono::Utc>)> = bill::table
        .inner_join(customer::table)
        .filter(bill::amount.gt(5).and(customer::name.like("%2")))
        .order(bill::id.desc())
        .select((bill::id, customer::name, bill::amount, bill::tags, bill::extra, bill::made))
        .load(c)?;
    let total: Option<i64> = bill::table.select(diesel::dsl::sum(bill::amount)).first(c)?;
    Ok(json!([rows, total]))
}

fn upsert(c: &mut PgConnection) -> Outcome {
    let changed = diesel::insert_into(customer::table)
        .values((customer::id.eq(1), customer::name.eq("other")))
        .on_conflict(customer::id)
        .do_update()
        .set(customer::name.eq("changed"))
        .get_result::<(i32, String)>(c)?;
    Ok(json!(changed))
}

fn transactions(c: &mut PgConnection) -> Outcome {
    let failed = c.transaction::<(), Error, _>(|c| {
        diesel::delete(bill::table).execute(c)?;
        let inner = c.transaction::<usize, Error, _>(|c| diesel::update(customer::table).set(customer::name.eq("same")).execute(c));
        assert!(inner.is_err(), "names are unique");
        Err(Error::RollbackTransaction)
    });
    let serializable = c.build_transaction().serializable().read_only().run(|c| bill::table.count().get_result::<i64>(c))?;
    Ok(json!([failed.is_err(), serializable]))
}

fn wrong(c: &mut PgConnection) -> Outcome {
    let mut out = Vec::new();
    for sql in ["SELECT * FROM nowhere", "SELEC 1", "INSERT INTO bill (customer_id, amount) VALUES (99, 1)", "UPDATE bill SET amount = -1", "SELECT 1 / 0"] {
        out.push(json!(diesel::sql_query(sql).execute(c).err().map(|e| error(&e))));
    }
    Ok(out.into())
}

fn batch(c: &mut PgConnection) -> Outcome {
    use diesel::connection::SimpleConnection;
    c.batch_execute("CREATE TABLE two (a int); INSERT INTO two VALUES (1), (2); DROP TABLE two")?;
    Ok(json!(true))
}

fn copied(c: &mut PgConnection) -> Outcome {
    let rows = diesel::copy_from(customer::table)
        .from_raw_data((customer::id, customer::name), |out| {
            std::io::Write::write_all(out, b"100,copied\n").map_err(|e| Error::SerializationError(Box::new(e)))
        })
        .with_format(diesel::pg::CopyFormat::Csv)
        .execute(c)?;
    Ok(json!(rows))
}

fn reverted(c: &mut PgConnection) -> Outcome {
    let gone = c.revert_all_migrations(MIGRATIONS).map_err(other)?.len();
    Ok(json!(gone))
}

fn error(e: &Error) -> Value {
    match e {
        Error::DatabaseError(kind, told) => {
            let told: &dyn DatabaseErrorInformation = told.as_ref();
            json!([format!("{kind:?}"), told.message(), told.details(), told.constraint_name(), told.table_name(), told.statement_position()])
        }
        other => json!(other.to_string()),
    }
}

fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: client-diesel URL SCRIPT"))?;
    let mut connection = PgConnection::establish(&url)?;
    let steps: [(&str, fn(&mut PgConnection) -> Outcome); 9] = [
        ("migrations", migrations),
        ("insert", insert),
        ("read", read),
        ("upsert", upsert),
        ("transactions", transactions),
        ("wrong", wrong),
        ("batch", batch),
        ("copied", copied),
        ("reverted", reverted),
    ];
    for (name, step) in steps {
        emit(name, step(&mut connection), error);
    }
    Ok(())
}
