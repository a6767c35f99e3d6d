// node-postgres: usage node_pg.cjs URL SCRIPT
const { Client } = require("pg");
const Cursor = require("pg-cursor");
const { from: copyFrom, to: copyTo } = require("pg-copy-streams");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");
const { play, playStep, native, shown, rowsShown, typeShown, errorShown, delay } = require("./nodeplay.cjs");

class NodePostgres {
  async open(url) {
    this.url = url;
    this.notices = [];
    this.notifications = [];
    this.client = new Client({ connectionString: url });
    this.client.on("notice", (n) => this.notices.push(errorShown(n)));
    this.client.on("notification", (n) => this.notifications.push([n.channel, n.payload]));
    await this.client.connect();
    return this;
  }

  close() {
    return this.client.end();
  }

  result(r) {
    const found = { tag: r.command, count: r.rowCount };
    if (r.fields?.length) {
      found.columns = r.fields.map((f) => [f.name, typeShown(f.dataTypeID), f.dataTypeModifier, f.format]);
      found.rows = rowsShown(r.rows);
    }
    return found;
  }

  values(params) {
    return params.map((p) => (p.t === "jsonb" && p.v !== null ? JSON.stringify(p.v) : native(p)));
  }

  async query(step) {
    const values = step.params && this.values(step.params);
    return this.result(await this.client.query({ text: step.sql, values, rowMode: "array" }));
  }

  async simple(step) {
    const results = await this.client.query({ text: step.sql, rowMode: "array" });
    return { results: [results].flat().map((r) => this.result(r)) };
  }

  async repeat(step) {
    const each = [];
    for (const params of step.params) {
      const query = { name: step.name, text: step.sql, values: this.values(params), rowMode: "array" };
      each.push(await this.client.query(query).then((r) => this.result(r), (e) => ({ error: errorShown(e) })));
    }
    return { each };
  }

  async tx(step, depth = 0) {
    const [open, commit, rollback] = depth
      ? [`SAVEPOINT s${depth}`, `RELEASE SAVEPOINT s${depth}`, `ROLLBACK TO SAVEPOINT s${depth}`]
      : ["BEGIN", "COMMIT", "ROLLBACK"];
    const steps = [];
    await this.client.query(open);
    for (const one of step.steps) {
      steps.push({ [one.name]: one.op === "tx" ? await this.tx(one, depth + 1) : await playStep(this, one) });
    }
    try {
      const end = await this.client.query(step.end === "commit" ? commit : rollback);
      return { steps, end: end.command };
    } catch (e) {
      if (!depth) await this.client.query("ROLLBACK");
      return { steps, error: errorShown(e) };
    }
  }

  async cursor(step) {
    const batches = [];
    const cursor = this.client.query(new Cursor(step.sql, [], { rowMode: "array" }));
    for (;;) {
      const rows = await cursor.read(step.batch);
      if (!rows.length) break;
      batches.push(rowsShown(rows));
      if (batches.length === step.batches) break;
    }
    await cursor.close();
    return { batches };
  }

  async copy_in(step) {
    const stream = this.client.query(copyFrom(step.sql));
    await pipeline(Readable.from(step.data.split(/(?<=\n)/)), stream);
    return { count: stream.rowCount };
  }

  async copy_out(step) {
    const parts = [];
    for await (const part of this.client.query(copyTo(step.sql))) parts.push(part);
    return { data: Buffer.concat(parts).toString() };
  }

  async pipeline(step) {
    const each = await Promise.all(step.queries.map((q) => playStep(this, { op: "query", ...q })));
    return { each };
  }

  async notify(step) {
    this.notifications = [];
    await this.client.query(`LISTEN "${step.channel}"`);
    const other = new Client({ connectionString: this.url });
    await other.connect();
    await other.query("SELECT pg_notify($1, $2)", [step.channel, step.payload]);
    await other.query(step.payload ? `NOTIFY "${step.channel}", '${step.payload} too'` : `NOTIFY "${step.channel}"`);
    await other.end();
    for (let i = 0; i < 100 && this.notifications.length < 2; i++) await delay(50);
    await this.client.query(`UNLISTEN "${step.channel}"`);
    return { notifications: this.notifications };
  }

  async cancel(step) {
    const started = Date.now();
    setTimeout(() => this.sendCancel(), 500);
    const outcome = await playStep(this, { op: "query", sql: step.sql });
    return { outcome, soon: Date.now() - started < 10000 };
  }

  // node-postgres has no public cancel: its older one takes the connection that runs the query.
  sendCancel() {
    const other = new Client({ connectionString: this.url });
    other.connection.connect(other.port, other.host);
    other.connection.once("connect", () => other.connection.cancel(this.client.processID, this.client.secretKey));
  }

  async connect(step) {
    const url = new URL(this.url);
    if (step.password) url.password = step.password;
    if (step.database) url.pathname = step.database;
    const other = new Client({ connectionString: url.toString(), options: step.options });
    try {
      await other.connect();
      return this.result(await other.query({ text: step.sql ?? "SELECT 1", rowMode: "array" }));
    } finally {
      await other.end().catch(() => {});
    }
  }
}

play(new NodePostgres());
