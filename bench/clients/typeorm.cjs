// TypeORM: usage typeorm.cjs URL SCRIPT (the script is not played: an ORM writes its own SQL)
require("reflect-metadata");
const { writeSync } = require("node:fs");
const { DataSource, EntitySchema, Table, TableColumn, TableIndex, In, MoreThan } = require("typeorm");
const { errorShown, shown } = require("./nodeplay.cjs");

const Customer = (more = {}) => new EntitySchema({
  name: "Customer", tableName: "customer",
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: "varchar", length: 80, unique: true },
    key: { type: "uuid", default: () => "gen_random_uuid()" },
    extra: { type: "jsonb", default: {} },
    tags: { type: "text", array: true, default: [] },
    seen: { type: "timestamptz", nullable: true },
    ...more,
  },
  relations: { bills: { type: "one-to-many", target: "Bill", inverseSide: "customer", cascade: true } },
});

const Bill = new EntitySchema({
  name: "Bill", tableName: "bill",
  columns: {
    id: { type: "bigint", primary: true, generated: "identity" },
    amount: { type: "numeric", precision: 10, scale: 2 },
    state: { type: "enum", enum: ["new", "paid"], default: "new", enumName: "bill_state" },
    made: { type: "timestamptz", createDate: true },
  },
  checks: [{ name: "amount_is_positive", expression: "amount >= 0" }],
  indices: [{ name: "bill_by_state", columns: ["state"] }],
  relations: { customer: { type: "many-to-one", target: "Customer", inverseSide: "bills", onDelete: "CASCADE", nullable: false, joinColumn: { name: "customer_id" } } },
});

class Note1700000000000 {
  name = "Note1700000000000";
  async up(runner) {
    await runner.createTable(new Table({ name: "note", columns: [{ name: "id", type: "int", isPrimary: true, isGenerated: true }, { name: "text", type: "text" }] }));
    await runner.addColumn("note", new TableColumn({ name: "at", type: "timestamptz", default: "now()" }));
    await runner.createIndex("note", new TableIndex({ name: "note_by_at", columnNames: ["at"] }));
  }
  async down(runner) {
    await runner.dropTable("note");
  }
}

class Failing1700000000001 {
  name = "Failing1700000000001";
  async up(runner) {
    await runner.query("CREATE TABLE lost (id int)");
    await runner.query("CREATE INDEX bad ON lost (nope)");
  }
  async down() {}
}

const url = process.argv[2];
// TypeORM's own logger writes to where the transcript goes.
const silent = Object.fromEntries(["logQuery", "logQueryError", "logQuerySlow", "logSchemaBuild", "logMigration", "log"].map((name) => [name, () => {}]));
const source = async (entities, migrations = []) => new DataSource({ type: "postgres", url, entities, migrations, synchronize: false, logger: silent }).initialize();
const pending = async (data) => (await data.driver.createSchemaBuilder().log()).upQueries.map((q) => q.query);
const described = (table) => ({
  columns: table.columns.map((c) => [c.name, c.type, c.isNullable, c.default, c.isGenerated, c.generationStrategy, c.isUnique, c.isArray, c.precision, c.scale, c.length, c.enum, c.enumName]),
  keys: table.foreignKeys.map((k) => [k.name, k.columnNames, k.referencedTableName, k.referencedSchema, k.onDelete]),
  indices: table.indices.map((i) => [i.name, i.columnNames, i.isUnique]),
  checks: table.checks.map((c) => [c.name, c.expression]),
  uniques: table.uniques.map((u) => [u.name, u.columnNames]),
});

let data;

const WORK = {
  async "what a first synchronisation would do"() {
    data = await source([Customer(), Bill]);
    return pending(data);
  },
  async synchronise() {
    await data.synchronize();
    return pending(data);
  },
  async "names of the installation"() {
    const runner = data.createQueryRunner();
    try {
      return [await runner.getCurrentSchema(), await runner.hasSchema("public"), await runner.hasSchema("nowhere"), await runner.hasTable("public.bill"), await runner.hasTable("nope")];
    } finally {
      await runner.release();
    }
  },
  async introspection() {
    const runner = data.createQueryRunner();
    try {
      return (await runner.getTables(["customer", "public.bill"])).map(described);
    } finally {
      await runner.release();
    }
  },
  async insert() {
    const bills = (n) => Array.from({ length: n }, (_, i) => ({ amount: `${i}.50` }));
    const saved = await data.getRepository("Customer").save([0, 1, 2, 3].map((n) => ({ name: `customer ${n}`, extra: { n: [n, null] }, tags: ["a,b", 'c"d'], bills: bills(n) })));
    return [saved.map((c) => c.id), await data.getRepository("Bill").count()];
  },
  async "read with relations"() {
    const found = await data.getRepository("Customer").find({ relations: { bills: true }, where: { id: In([2, 3]) }, order: { id: "ASC", bills: { id: "ASC" } } });
    return found.map((c) => [c.id, c.name, c.extra.n, c.tags, c.bills.map((b) => [b.id, b.amount, b.state])]);
  },
  async "join and group"() {
    return data.getRepository("Bill").createQueryBuilder("b").innerJoin("b.customer", "c").select(["c.name AS name", "SUM(b.amount) AS total"])
      .where("(c.extra->'n'->>0)::int > :n", { n: 1 }).groupBy("c.name").orderBy("total", "DESC").getRawMany();
  },
  async update() {
    const done = await data.getRepository("Bill").update({ amount: MoreThan(1) }, { state: "paid" });
    return done.affected;
  },
  async upsert() {
    const done = await data.getRepository("Customer").upsert({ name: "customer 1", extra: { again: true } }, ["name"]);
    return [done.identifiers, (await data.getRepository("Customer").findOneByOrFail({ name: "customer 1" })).extra.again];
  },
  async "unique violation"() {
    return data.getRepository("Customer").insert({ name: "customer 1" });
  },
  async "transaction with a savepoint"() {
    return data.transaction("SERIALIZABLE", async (outer) => {
      await outer.getRepository("Customer").insert({ name: "kept" });
      const failed = await outer.transaction((inner) => inner.query("INSERT INTO bill (customer_id, amount, made) VALUES (1, -1, '2024-01-02 03:04:05+00')")).catch(failure);
      return [failed, await outer.getRepository("Customer").count()];
    });
  },
  async "transaction that fails"() {
    const failed = await data.transaction(async (m) => { await m.query("DELETE FROM bill"); await m.query("SELECT 1 / 0"); }).catch(failure);
    return [failed, await data.getRepository("Bill").count()];
  },
  async stream() {
    const runner = data.createQueryRunner();
    return runner.query("SELECT i FROM generate_series(1, 300) i").then((r) => r.length).finally(() => runner.release());
  },
  async "locked for update"() {
    return data.transaction(async (m) => (await m.getRepository("Customer").find({ where: { name: "kept" }, lock: { mode: "pessimistic_write" } })).length);
  },
  async "a column more"() {
    await data.destroy();
    data = await source([Customer({ country: { type: "char", length: 2, default: "XX" } }), Bill], [Note1700000000000]);
    const asked = await pending(data);
    await data.synchronize();
    return [asked, await pending(data)];
  },
  async "migrations up"() {
    return (await data.runMigrations()).map((m) => m.name);
  },
  async "migrations again"() {
    return [(await data.runMigrations()).length, await data.showMigrations()];
  },
  async "migrations down"() {
    await data.undoLastMigration();
    return data.showMigrations();
  },
  async "a migration that fails"() {
    await data.destroy();
    data = await source([Customer(), Bill], [Failing1700000000001]);
    const failed = await data.runMigrations().catch(failure);
    return [failed, await data.query("SELECT to_regclass('lost')::text AS lost")];
  },
  async delete() {
    const done = await data.getRepository("Customer").delete({ name: "customer 3" });
    return [done.affected, await data.getRepository("Bill").count()];
  },
  async "drop everything"() {
    await data.dropDatabase();
    return data.query("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'");
  },
};

const failure = (e) => ({ class: e.constructor.name, ...(e.driverError ? errorShown(e.driverError) : { text: e.message }) });

(async () => {
  for (const [name, work] of Object.entries(WORK)) {
    const outcome = await work().then((found) => shown(found ?? null), (e) => ({ error: failure(e) }));
    writeSync(1, JSON.stringify({ step: name, outcome }) + "\n");
  }
  await data.destroy();
})();
