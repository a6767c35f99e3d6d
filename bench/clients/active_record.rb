# ActiveRecord: usage active_record.rb URL SCRIPT (the script is not played: an ORM writes its own SQL)
require "active_record"
require "json"
require "stringio"

ActiveRecord::Migration.verbose = false

# What the migrations make.
class MakeBills < ActiveRecord::Migration[6.1]
  def change
    create_table :clients, comment: "who pays" do |t|
      t.string :name, null: false, limit: 80
      t.text :tags, array: true, default: []
      t.jsonb :extra, null: false, default: {}
      t.uuid :key, default: -> { "gen_random_uuid()" }
      t.timestamps
    end
    create_table :bills, id: :bigint do |t|
      t.references :client, null: false, foreign_key: { on_delete: :cascade }
      t.decimal :amount, precision: 10, scale: 2
      t.daterange :span
      t.inet :origin
      t.check_constraint "amount >= 0", name: "amount_is_positive"
    end
    add_index :clients, :name, unique: true, where: "name <> ''"
    add_index :clients, "lower(name)", name: "clients_by_lower_name"
    add_index :clients, :tags, using: :gin
  end
end

class ChangeBills < ActiveRecord::Migration[6.1]
  def up
    add_column :bills, :note, :string, default: "none"
    change_column :bills, :amount, :decimal, precision: 12, scale: 3
    rename_column :bills, :origin, :source
    change_column_null :bills, :span, true
    execute "CREATE VIEW open_bills AS SELECT id, amount FROM bills WHERE span IS NULL"
  end

  def down
    execute "DROP VIEW open_bills"
    rename_column :bills, :source, :origin
    remove_column :bills, :note
  end
end

class Client < ActiveRecord::Base
  has_many :bills
end

class Bill < ActiveRecord::Base
  belongs_to :client
end

# Its steps are its public methods, in the order in which they stand.
class Work
  def initialize(url)
    ActiveRecord::Base.establish_connection(url)
    @before = link.tables
  end

  def version = [link.database_version / 10_000 > 0, link.adapter_name, link.encoding]
  def schema = [link.current_schema, link.schema_exists?("public"), link.schema_names.include?("public"), link.schema_search_path]
  def data_sources = link.data_sources.sort
  def extensions = link.extensions.include?("plpgsql")
  def migrate = step(MakeBills, :up)
  def tables = link.tables.sort
  def columns = %w[clients bills].to_h { |t| [t, link.columns(t).map { |c| [c.name, c.sql_type, c.null, c.default, c.default_function, c.comment] }] }
  def keys = %w[clients bills].map { |t| [link.primary_key(t), link.pk_and_sequence_for(t).map(&:to_s)] }
  def indexes = %w[clients bills].to_h { |t| [t, link.indexes(t).map { |i| [i.name, i.unique, i.columns, i.where, i.using] }.sort] }
  def foreign_keys = link.foreign_keys("bills").map { |k| [k.from_table, k.to_table, k.options] }
  def check_constraints = link.check_constraints("bills").map { |c| [c.name, c.expression] }
  def comment = link.table_comment("clients")
  def dump = dumped
  def write = [Client.create!(name: "Ä", tags: %w[a b], extra: { a: 1 }).id, Client.first.tags, Client.first.extra]
  def children = Client.first.bills.create!(amount: "12.345", span: Date.new(2024, 1, 1)..Date.new(2024, 2, 1)).amount
  def read = Client.joins(:bills).where("bills.amount > ?", 1).order(:id).map { |c| [c.name, c.bills.count] }
  def explain = Client.where(name: "x").explain.lines.first
  def duplicate = Client.create!(name: "Ä")
  def missing_parent = Bill.new(client_id: 99, amount: 1).save!(validate: false)
  def broken_check = Client.first.bills.create!(amount: -1)
  def missing_table = link.select_value("SELECT 1 FROM nowhere")
  def transaction = Client.transaction { Client.create!(name: "gone"); raise ActiveRecord::Rollback }.inspect + Client.count.to_s
  def nested = Client.transaction { Client.create!(name: "kept"); Client.transaction(requires_new: true) { Client.create!(name: "gone"); raise ActiveRecord::Rollback }; Client.order(:id).pluck(:name) }
  def lock = Client.transaction { Client.lock.find_by(name: "kept").name }
  def upsert = Client.upsert_all([{ name: "many", created_at: Time.at(0), updated_at: Time.at(0) }], returning: %w[name]).rows
  def alone = link.get_advisory_lock(4711) && link.release_advisory_lock(4711)
  def change = step(ChangeBills, :up)
  def views = [link.views.sort, link.view_exists?("open_bills"), link.columns("open_bills").map(&:sql_type)]
  def changed = link.columns("bills").map { |c| [c.name, c.sql_type, c.default] }
  def changed_dump = dumped
  def rename = (link.rename_table("bills", "invoices"); [link.indexes("invoices").map(&:name).sort, link.pk_and_sequence_for("invoices").map(&:to_s)])
  def rename_back = (link.rename_table("invoices", "bills"); link.tables.include?("bills"))
  def reset = link.reset_pk_sequence!("clients")
  def disable = (link.disable_referential_integrity { Client.order(:id).first.delete }; [Client.count, Bill.count])
  def undo = (step(ChangeBills, :down); %w[bills clients].each { |table| link.drop_table(table) })
  def left = link.tables - @before

  private

  def link = ActiveRecord::Base.connection

  # A migration as the migrator runs it: in a transaction.
  def step(migration, direction)
    link.transaction { migration.migrate(direction) }
    [Client, Bill].each(&:reset_column_information)
    "done"
  end

  def dumped
    text = StringIO.new
    ActiveRecord::SchemaDumper.dump(link, text)
    text.string.lines.reject { |line| line.start_with?("#") }.map(&:chomp)
  end
end

def outcome(work, step)
  work.public_send(step)
rescue StandardError => e
  { "error" => { "class" => e.class.name, "cause" => e.cause&.class&.name, "text" => e.message.lines.first(6) } }
end

work = Work.new(ARGV[0].sub("postgres://", "postgresql://"))
Work.public_instance_methods(false).sort_by { |step| Work.instance_method(step).source_location[1] }.each do |step|
  puts JSON.generate({ step: step.to_s.tr("_", " "), outcome: outcome(work, step) })
  $stdout.flush
end
