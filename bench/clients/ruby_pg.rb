# ruby-pg: usage ruby_pg.rb URL SCRIPT
require "digest"
require "json"
require "pg"
require "uri"

LONG = 2000 # characters; longer values are shown by length and digest
MANY = 200 # more rows than these are shown by number and digest
OWN_OIDS = 16_384 # from here on oids are the installation's own
FIELDS = {
  severity: PG::PG_DIAG_SEVERITY, code: PG::PG_DIAG_SQLSTATE, message: PG::PG_DIAG_MESSAGE_PRIMARY, detail: PG::PG_DIAG_MESSAGE_DETAIL,
  hint: PG::PG_DIAG_MESSAGE_HINT, position: PG::PG_DIAG_STATEMENT_POSITION, internal_position: PG::PG_DIAG_INTERNAL_POSITION,
  internal_query: PG::PG_DIAG_INTERNAL_QUERY, where: PG::PG_DIAG_CONTEXT, schema: PG::PG_DIAG_SCHEMA_NAME, table: PG::PG_DIAG_TABLE_NAME,
  column: PG::PG_DIAG_COLUMN_NAME, type: PG::PG_DIAG_DATATYPE_NAME, constraint: PG::PG_DIAG_CONSTRAINT_NAME
}.freeze

# One session and the steps that it can play.
class Client
  def initialize(url)
    @url = url
    @notices = []
    @connection = PG.connect(url)
    @connection.set_notice_receiver { |result| @notices << fields(result) }
  end

  def play(script)
    File.foreach(script, encoding: "UTF-8") do |line|
      next if line.strip.empty?

      step = JSON.parse(line)
      outcome = play_step(step)
      outcome["notices"] = @notices.shift(@notices.length) unless @notices.empty?
      puts JSON.generate({ step: step["name"], outcome: outcome })
      $stdout.flush
    end
  end

  def play_step(step)
    return { "skipped" => "not in this client" } unless %w[query simple repeat tx cursor copy_in copy_out pipeline notify cancel connect].include?(step["op"])

    send("step_#{step["op"]}", step)
  rescue PG::Error => e
    { "error" => failure(e) }
  end

  private

  def fields(result)
    FIELDS.transform_values { |field| result.error_field(field) }.compact
  end

  def failure(error)
    { class: error.class.name }.merge(error.result ? fields(error.result) : { text: error.message })
  end

  def native(param)
    return param["repeat"][0] * param["repeat"][1] if param["repeat"]
    return nil if param["v"].nil?

    case param["t"]
    when "jsonb" then JSON.generate(param["v"])
    when "bytea" then { value: [param["v"]].pack("H*"), format: 1, type: 17 }
    when "int4[]" then PG::TextEncoder::Array.new(elements_type: PG::TextEncoder::Integer.new).encode(param["v"])
    when "text[]" then PG::TextEncoder::Array.new.encode(param["v"])
    else param["v"].to_s
    end
  end

  def values(params)
    (params || []).map { |p| native(p) }
  end

  def shown(value)
    return value if value.nil? || value.length <= LONG

    "#{value.length} characters, #{Digest::SHA256.hexdigest(value)}"
  end

  def result(found)
    columns = (0...found.nfields).map do |i|
      [found.fname(i), found.ftype(i) < OWN_OIDS ? found.ftype(i) : "own", found.fmod(i), found.fformat(i), found.fsize(i)]
    end
    rows = found.values.map { |row| row.map { |v| shown(v) } }
    rows = { rows: rows.length, digest: Digest::SHA256.hexdigest(JSON.generate(rows)) } if rows.length > MANY
    { "tag" => found.cmd_status, "columns" => columns, "rows" => rows }
  end

  def step_query(step)
    result(@connection.exec_params(step["sql"], values(step["params"])))
  end

  def step_simple(step)
    @connection.send_query(step["sql"])
    { "results" => remaining }
  end

  # Every result that is still to come.
  def remaining
    results = []
    while (found = @connection.get_result)
      results << (found.error_field(PG::PG_DIAG_SQLSTATE) ? { error: fields(found) } : result(found))
    end
    results
  end

  def step_repeat(step)
    @connection.prepare(step["name"], step["sql"])
    each = step["params"].map do |params|
      result(@connection.exec_prepared(step["name"], values(params)))
    rescue PG::Error => e
      { "error" => failure(e) }
    end
    described = @connection.describe_prepared(step["name"])
    { "each" => each, "parameters" => (0...described.nparams).map { |i| described.paramtype(i) } }
  end

  def step_tx(step, depth = 0)
    open, commit, rollback = depth.zero? ? %w[BEGIN COMMIT ROLLBACK] : ["SAVEPOINT s#{depth}", "RELEASE s#{depth}", "ROLLBACK TO s#{depth}"]
    @connection.exec(open)
    steps = step["steps"].map { |one| { one["name"] => one["op"] == "tx" ? step_tx(one, depth + 1) : play_step(one) } }
    ended = @connection.exec(step["end"] == "commit" ? commit : rollback).cmd_status
    { "steps" => steps, "end" => ended, "status" => @connection.transaction_status }
  rescue PG::Error => e
    @connection.exec("ROLLBACK") if depth.zero?
    { "steps" => steps, "error" => failure(e) }
  end

  # Row by row, as ruby-pg reads large results.
  def step_cursor(step)
    @connection.send_query(step["sql"])
    @connection.set_single_row_mode
    rows = []
    while (found = @connection.get_result)
      found.check
      rows.concat(found.values) if rows.length < step["batch"] * (step["batches"] || 100)
    end
    { "rows" => rows }
  end

  def step_copy_in(step)
    done = @connection.copy_data(step["sql"]) do
      step["data"].each_line { |line| @connection.put_copy_data(line) }
    end
    { "tag" => done.cmd_status }
  end

  def step_copy_out(step)
    data = +""
    done = @connection.copy_data(step["sql"]) do
      while (part = @connection.get_copy_data)
        data << part
      end
    end
    { "tag" => done.cmd_status, "data" => data.force_encoding("UTF-8") }
  end

  def step_pipeline(step)
    @connection.enter_pipeline_mode
    step["queries"].each { |q| @connection.send_query_params(q["sql"], values(q["params"])) }
    @connection.pipeline_sync
    each = []
    loop do
      found = @connection.get_result
      next if found.nil? # between two queries
      break if found.result_status == PG::PGRES_PIPELINE_SYNC

      each << piped(found)
    end
    { "each" => each }
  ensure
    @connection.exit_pipeline_mode
  end

  def piped(found)
    return { skipped: "by an error before it" } if found.result_status == PG::PGRES_PIPELINE_ABORTED

    found.error_field(PG::PG_DIAG_SQLSTATE) ? { error: fields(found) } : result(found)
  end

  def step_notify(step)
    channel = @connection.quote_ident(step["channel"])
    @connection.exec("LISTEN #{channel}")
    other = PG.connect(@url)
    other.exec_params("SELECT pg_notify($1, $2)", [step["channel"], step["payload"]])
    other.close
    heard = nil
    @connection.wait_for_notify(5) { |name, _, payload| heard = [name, payload] }
    @connection.exec("UNLISTEN #{channel}")
    { "notification" => heard }
  end

  def step_cancel(step)
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    canceller = Thread.new { sleep(0.5) && @connection.cancel }
    outcome = play_step(step.merge("op" => "query"))
    { "outcome" => outcome, "sent" => canceller.value, "soon" => Process.clock_gettime(Process::CLOCK_MONOTONIC) - started < 10 }
  end

  def step_connect(step)
    url = URI.parse(@url)
    more = { password: step["password"], dbname: step["database"], options: step["options"] }.compact
    base = { host: url.host, port: url.port, user: url.user, password: url.password, dbname: url.path.delete_prefix("/") }
    other = PG.connect(**base, **more)
    begin
      result(other.exec(step["sql"] || "SELECT 1"))
    ensure
      other.close
    end
  end
end

Client.new(ARGV[0]).play(ARGV[1])
