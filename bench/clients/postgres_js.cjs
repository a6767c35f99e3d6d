// postgres.js: usage postgres_js.cjs URL SCRIPT
const postgres = require("postgres");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { play, playStep, native, shown, rowsShown, typeShown, errorShown, delay } = require("./nodeplay.cjs");

class PostgresJs {
  async open(url) {
    this.url = url;
    this.notices = [];
    this.sql = postgres(url, { max: 1, idle_timeout: 0, onnotice: (n) => this.notices.push(errorShown({ ...n, constructor: Object })) });
    await this.sql`SELECT 1`;
    return this;
  }

  close() {
    return this.sql.end({ timeout: 5 });
  }

  result(r) {
    const found = { tag: r.command, count: r.count };
    if (r.columns?.length) {
      found.columns = r.columns.map((c) => [c.name, typeShown(c.type)]);
      found.rows = rowsShown([...r]);
    }
    return found;
  }

  values(params) {
    return params.map((p) => (p.t === "jsonb" && p.v !== null ? this.sql.json(p.v) : native(p)));
  }

  async query(step) {
    return this.result(await (this.inner ?? this.sql).unsafe(step.sql, this.values(step.params ?? []), { prepare: false }).values());
  }

  async simple(step) {
    const found = await (this.inner ?? this.sql).unsafe(step.sql).simple().values();
    return { results: Array.isArray(found[0]) && found[0].command ? found.map((r) => this.result(r)) : [this.result(found)] };
  }

  async repeat(step) {
    const each = [];
    for (const params of step.params) {
      const run = this.sql.unsafe(step.sql, this.values(params), { prepare: true }).values();
      each.push(await run.then((r) => this.result(r), (e) => ({ error: errorShown(e) })));
    }
    return { each };
  }

  async tx(step) {
    const steps = [];
    const outer = this.inner;
    const body = async (inner) => {
      this.inner = inner;
      for (const one of step.steps) steps.push({ [one.name]: await playStep(this, one) });
      if (step.end === "rollback") throw new Error("asked to roll back");
    };
    try {
      await (outer ? outer.savepoint(body) : this.sql.begin(body));
    } catch (e) {
      return { steps, error: { message: e.message, code: e.code } };
    } finally {
      this.inner = outer;
    }
    return { steps };
  }

  async cursor(step) {
    const batches = [];
    for await (const rows of this.sql.unsafe(step.sql).values().cursor(step.batch)) {
      batches.push(rowsShown([...rows]));
      if (batches.length === step.batches) break;
    }
    return { batches };
  }

  async copy_in(step) {
    // postgres.js waits for ever for the end of a COPY in that fails, through the proxy and without.
    if (step.name === "copy in fails") return { skipped: "hangs in this client" };
    const sink = await this.sql.unsafe(step.sql).writable();
    await pipeline(Readable.from(step.data.split(/(?<=\n)/)), sink);
    return { done: true };
  }

  async copy_out(step) {
    // postgres.js raises a COPY out's error where nobody can catch it, through the proxy and without.
    if (step.name === "copy out fails" || step.name === "copy of nothing known") return { skipped: "cannot be caught in this client" };
    const stream = await this.sql.unsafe(step.sql).readable();
    return new Promise((done) => {
      const parts = [];
      stream.on("data", (part) => parts.push(part));
      stream.on("end", () => done({ data: Buffer.concat(parts).toString() }));
      stream.on("error", (e) => done({ error: errorShown(e) }));
    });
  }

  async pipeline(step) {
    return { each: await Promise.all(step.queries.map((q) => playStep(this, { op: "query", ...q }))) };
  }

  async notify(step) {
    const heard = [];
    const { unlisten } = await this.sql.listen(step.channel, (payload) => heard.push(payload));
    await this.sql.notify(step.channel, step.payload);
    for (let i = 0; i < 60 && !heard.length; i++) await delay(50);
    await unlisten();
    return { heard };
  }

  async cancel(step) {
    const query = this.sql.unsafe(step.sql);
    setTimeout(() => query.cancel(), 500);
    return shown(await query.values());
  }
}

play(new PostgresJs());
