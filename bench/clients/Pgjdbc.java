// pgjdbc: usage java -cp postgresql.jar:gson.jar Pgjdbc.java URL SCRIPT
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Timer;
import java.util.TimerTask;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

final class Pgjdbc {
    static final int LONG = 2000; // characters; longer values are shown by length and digest
    static final int MANY = 200; // more rows than these are shown by number and digest
    static final Gson JSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
    static final Pattern NUMBERED = Pattern.compile("\\$(\\d+)");

    final String url;
    final Properties login = new Properties();
    final Connection connection;

    interface Play {
        Object run() throws Exception;
    }

    Pgjdbc(String address) throws Exception {
        URI given = URI.create(address);
        String[] who = given.getUserInfo().split(":", 2);
        url = "jdbc:postgresql://" + given.getHost() + ":" + given.getPort() + given.getPath();
        login.setProperty("user", who[0]);
        login.setProperty("password", who[1]);
        login.setProperty("prepareThreshold", "3");
        connection = DriverManager.getConnection(url, login);
    }

    public static void main(String[] arguments) throws Exception {
        Pgjdbc client = new Pgjdbc(arguments[0]);
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            if (!line.isBlank()) client.step(JSON.fromJson(line, Map.class));
        }
        client.connection.close();
    }

    static Map<String, Object> map(Object... pairs) {
        Map<String, Object> made = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) made.put((String) pairs[i], pairs[i + 1]);
        return made;
    }

    void emit(String name, Object outcome) {
        System.out.println(JSON.toJson(map("step", name, "outcome", outcome)));
    }

    void step(Map<String, Object> step) {
        boolean datestyle = step.get("name").equals("set datestyle"); // pgjdbc closes a connection whose dates are not ISO's
        emit((String) step.get("name"), datestyle ? map("skipped", "not in this client") : play(step));
        if (step.get("name").equals("comment")) metadata();
    }

    Object play(Map<String, Object> step) {
        return guarded(() -> switch ((String) step.get("op")) {
            case "query" -> query((String) step.get("sql"), list(step.get("params")));
            case "simple" -> query((String) step.get("sql"), List.of());
            case "repeat" -> repeat(step);
            case "tx" -> tx(step, 0);
            case "cursor" -> cursor(step);
            case "copy_in" -> map("count", copies().copyIn((String) step.get("sql"), new StringReader((String) step.get("data"))));
            case "copy_out" -> copyOut((String) step.get("sql"));
            case "pipeline" -> batch(step);
            case "notify" -> hear(step);
            case "cancel" -> cancel(step);
            case "connect" -> connect(step);
            default -> map("skipped", "not in this client");
        });
    }

    Object guarded(Play play) {
        try {
            return play.run();
        } catch (SQLException e) {
            return map("error", failure(e));
        } catch (Exception e) {
            return map("error", e.toString());
        }
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return value == null ? List.of() : (List<Object>) value;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }

    org.postgresql.copy.CopyManager copies() throws SQLException {
        return connection.unwrap(PGConnection.class).getCopyAPI();
    }

    static Object failure(SQLException e) {
        Map<String, Object> found = map("class", e.getClass().getSimpleName(), "code", e.getSQLState());
        if (e instanceof PSQLException p && p.getServerErrorMessage() != null) {
            found.putAll(fields(p.getServerErrorMessage()));
        } else {
            found.put("text", e.getMessage());
        }
        return found;
    }

    static Map<String, Object> fields(ServerErrorMessage m) {
        return map("severity", m.getSeverity(), "state", m.getSQLState(), "message", m.getMessage(), "detail", m.getDetail(), "hint", m.getHint(),
            "position", m.getPosition(), "internal_position", m.getInternalPosition(), "internal_query", m.getInternalQuery(), "where", m.getWhere(),
            "schema", m.getSchema(), "table", m.getTable(), "column", m.getColumn(), "type", m.getDatatype(), "constraint", m.getConstraint());
    }

    static List<Object> warnings(SQLWarning first) {
        List<Object> found = new ArrayList<>();
        for (SQLWarning w = first; w != null; w = w.getNextWarning()) found.add(map("code", w.getSQLState(), "text", w.getMessage()));
        return found;
    }

    static String digest(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    static Object shown(Object value) throws Exception {
        if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long) return value;
        String text = value instanceof byte[] bytes ? "bytes " + HexFormat.of().formatHex(bytes) : value.getClass().getSimpleName() + " " + value;
        return text.length() > LONG ? text.length() + " characters, " + digest(text) : text;
    }

    static Object rows(ResultSet set) throws Exception {
        List<Object> rows = new ArrayList<>();
        while (set.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= set.getMetaData().getColumnCount(); i++) row.add(shown(set.getObject(i)));
            rows.add(row);
        }
        return rows.size() > MANY ? map("rows", rows.size(), "digest", digest(JSON.toJson(rows))) : rows;
    }

    static Object columns(ResultSetMetaData of) throws SQLException {
        List<Object> found = new ArrayList<>();
        for (int i = 1; i <= of.getColumnCount(); i++) {
            found.add(List.of(of.getColumnLabel(i), of.getColumnTypeName(i), of.getColumnType(i), of.getPrecision(i), of.getScale(i),
                of.isNullable(i), of.isAutoIncrement(i), String.valueOf(of.getTableName(i)), String.valueOf(of.getSchemaName(i))));
        }
        return found;
    }

    /** Every result of a statement that has been executed. */
    static Map<String, Object> results(Statement statement, boolean isSet) throws Exception {
        List<Object> found = new ArrayList<>();
        while (isSet || statement.getUpdateCount() != -1) {
            if (isSet) {
                ResultSet set = statement.getResultSet();
                found.add(map("columns", columns(set.getMetaData()), "rows", rows(set)));
            } else {
                found.add(map("count", statement.getUpdateCount()));
            }
            isSet = statement.getMoreResults();
        }
        return map("results", found, "warnings", warnings(statement.getWarnings()));
    }

    Map<String, Object> query(String sql, List<Object> params) throws Exception {
        if (params.isEmpty()) {
            try (Statement statement = connection.createStatement()) {
                return results(statement, statement.execute(sql));
            }
        }
        try (PreparedStatement statement = connection.prepareStatement(NUMBERED.matcher(sql).replaceAll("?"))) {
            bind(statement, sql, params);
            return results(statement, statement.execute());
        }
    }

    void bind(PreparedStatement statement, String sql, List<Object> params) throws SQLException {
        Matcher place = NUMBERED.matcher(sql);
        for (int i = 1; place.find(); i++) {
            Map<String, Object> param = object(params.get(Integer.parseInt(place.group(1)) - 1));
            bindOne(statement, i, (String) param.get("t"), param);
        }
    }

    void bindOne(PreparedStatement statement, int i, String type, Map<String, Object> param) throws SQLException {
        Object v = param.get("v");
        if (param.containsKey("repeat")) {
            v = ((String) list(param.get("repeat")).get(0)).repeat(((Number) list(param.get("repeat")).get(1)).intValue());
        }
        if (v == null) {
            statement.setNull(i, Types.NULL);
            return;
        }
        switch (type) {
            case "int2", "int4" -> statement.setInt(i, ((Number) v).intValue());
            case "int8" -> statement.setLong(i, Long.parseLong((String) v));
            case "float8" -> statement.setDouble(i, (Double) v);
            case "numeric" -> statement.setBigDecimal(i, new BigDecimal((String) v));
            case "bool" -> statement.setBoolean(i, (Boolean) v);
            case "timestamptz" -> statement.setObject(i, OffsetDateTime.parse((String) v));
            case "date" -> statement.setObject(i, LocalDate.parse((String) v));
            case "uuid" -> statement.setObject(i, UUID.fromString((String) v));
            case "bytea" -> statement.setBytes(i, HexFormat.of().parseHex((String) v));
            case "jsonb" -> statement.setObject(i, JSON.toJson(v), Types.OTHER);
            case "int4[]" -> statement.setArray(i, connection.createArrayOf("int4", list(v).stream().map(n -> ((Number) n).intValue()).toArray()));
            case "text[]" -> statement.setArray(i, connection.createArrayOf("text", list(v).toArray()));
            case "text" -> statement.setString(i, (String) v);
            default -> statement.setObject(i, v, Types.OTHER);
        }
    }

    /** Beyond three executions pgjdbc keeps a named statement on the server. */
    Object repeat(Map<String, Object> step) throws Exception {
        List<Object> each = new ArrayList<>();
        String sql = (String) step.get("sql");
        try (PreparedStatement statement = connection.prepareStatement(NUMBERED.matcher(sql).replaceAll("?"))) {
            for (Object params : list(step.get("params"))) {
                each.add(guarded(() -> {
                    bind(statement, sql, list(params));
                    return results(statement, statement.execute());
                }));
            }
            return map("each", each);
        }
    }

    Object tx(Map<String, Object> step, int depth) throws Exception {
        List<Object> steps = new ArrayList<>();
        boolean commit = step.get("end").equals("commit");
        connection.setAutoCommit(false);
        try {
            Savepoint savepoint = depth == 0 ? null : connection.setSavepoint();
            for (Object one : list(step.get("steps"))) {
                Map<String, Object> inner = object(one);
                steps.add(map((String) inner.get("name"), inner.get("op").equals("tx") ? tx(inner, depth + 1) : play(inner)));
            }
            if (savepoint != null && commit) connection.releaseSavepoint(savepoint);
            else if (savepoint != null) connection.rollback(savepoint);
            else if (commit) connection.commit();
            else connection.rollback();
            return map("steps", steps);
        } catch (SQLException e) {
            return map("steps", steps, "error", failure(e));
        } finally {
            if (depth == 0) {
                connection.rollback();
                connection.setAutoCommit(true);
            }
        }
    }

    /** A fetch size makes pgjdbc read by a portal that is suspended after each batch. */
    Object cursor(Map<String, Object> step) throws Exception {
        int batch = ((Number) step.get("batch")).intValue();
        int most = step.containsKey("batches") ? batch * ((Number) step.get("batches")).intValue() : Integer.MAX_VALUE;
        List<Object> rows = new ArrayList<>();
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(batch);
            ResultSet set = statement.executeQuery((String) step.get("sql"));
            while (rows.size() < most && set.next()) rows.add(shown(set.getObject(1)));
            set.close();
            connection.commit();
        } finally {
            connection.setAutoCommit(true);
        }
        return map("rows", rows);
    }

    Object copyOut(String sql) throws Exception {
        StringWriter out = new StringWriter();
        long count = copies().copyOut(sql, out);
        return map("count", count, "data", out.toString());
    }

    /** Several texts in one batch, which pgjdbc pipelines. */
    Object batch(Map<String, Object> step) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO author (name, rank) VALUES (?, 100 / ?)")) {
            for (int i = 0; i < 5; i++) {
                statement.setString(1, step.get("name") + " " + i);
                statement.setInt(2, step.get("name").equals("pipeline") ? 1 : 3 - i);
                statement.addBatch();
            }
            return map("counts", statement.executeBatch());
        }
    }

    Object hear(Map<String, Object> step) throws Exception {
        String channel = '"' + (String) step.get("channel") + '"';
        try (Statement statement = connection.createStatement()) {
            statement.execute("LISTEN " + channel);
            try (Connection other = DriverManager.getConnection(url, login); PreparedStatement notify = other.prepareStatement("SELECT pg_notify(?, ?)")) {
                notify.setString(1, (String) step.get("channel"));
                notify.setString(2, (String) step.get("payload"));
                notify.execute();
            }
            List<Object> heard = new ArrayList<>();
            PGNotification[] found = connection.unwrap(PGConnection.class).getNotifications(5000);
            for (PGNotification n : found == null ? new PGNotification[0] : found) heard.add(List.of(n.getName(), n.getParameter()));
            statement.execute("UNLISTEN " + channel);
            return map("notifications", heard);
        }
    }

    Object cancel(Map<String, Object> step) throws Exception {
        long started = System.nanoTime();
        Timer timer = new Timer(true);
        try (Statement statement = connection.createStatement()) {
            timer.schedule(new TimerTask() {
                @Override
                public void run() {
                    guarded(() -> {
                        statement.cancel();
                        return null;
                    });
                }
            }, 500);
            Object outcome = guarded(() -> results(statement, statement.execute((String) step.get("sql"))));
            return map("outcome", outcome, "soon", System.nanoTime() - started < 10_000_000_000L);
        } finally {
            timer.cancel();
        }
    }

    Object connect(Map<String, Object> step) throws Exception {
        Properties other = new Properties();
        other.putAll(login);
        if (step.containsKey("password")) other.setProperty("password", (String) step.get("password"));
        if (step.containsKey("options")) other.setProperty("options", (String) step.get("options"));
        String where = step.containsKey("database") ? url.replaceFirst("[^/]+$", (String) step.get("database")) : url;
        try (Connection made = DriverManager.getConnection(where, other); Statement statement = made.createStatement()) {
            return results(statement, statement.execute((String) step.getOrDefault("sql", "SELECT 1")));
        }
    }

    /** Without the numbers in pgjdbc's specific names, and without other sessions' temporary schemas. */
    static Object neutral(Object rows) {
        if (!(rows instanceof List<?> each)) return rows;
        return each.stream().map(JSON::toJson).filter(row -> !row.matches(".*String pg_(toast_)?temp_.*")).map(row -> row.replaceAll("(,.*_)\\d{5,}\"\\]$", "$1oid\"]")).toList();
    }

    interface Question {
        ResultSet of(DatabaseMetaData metadata) throws SQLException;
    }

    void ask(String name, Question question) {
        emit("metadata: " + name, guarded(() -> {
            try (ResultSet set = question.of(connection.getMetaData())) {
                List<Object> labels = new ArrayList<>();
                for (int i = 1; i <= set.getMetaData().getColumnCount(); i++) labels.add(set.getMetaData().getColumnLabel(i) + " " + set.getMetaData().getColumnTypeName(i));
                return map("columns", labels, "rows", neutral(rows(set)));
            }
        }));
    }

    /** What tools in Java ask about a database. */
    void metadata() {
        ask("tables", m -> m.getTables(null, "public", "%", new String[] {"TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"}));
        ask("tables of no schema", m -> m.getTables(null, null, "book", null));
        ask("columns", m -> m.getColumns(null, "public", "%", "%"));
        ask("primary keys", m -> m.getPrimaryKeys(null, "public", "book"));
        ask("imported keys", m -> m.getImportedKeys(null, "public", "book"));
        ask("exported keys", m -> m.getExportedKeys(null, null, "author"));
        ask("cross reference", m -> m.getCrossReference(null, null, "author", null, null, "book"));
        ask("indexes", m -> m.getIndexInfo(null, "public", "book", false, true));
        ask("schemas", DatabaseMetaData::getSchemas);
        ask("catalogs", DatabaseMetaData::getCatalogs);
        ask("types", m -> m.getUDTs(null, "public", "%", null));
        ask("functions", m -> m.getFunctions(null, "public", "%"));
        ask("function columns", m -> m.getFunctionColumns(null, "public", "%", "%"));
        ask("table privileges", m -> m.getTablePrivileges(null, "public", "shelf"));
        ask("best row", m -> m.getBestRowIdentifier(null, "public", "book", DatabaseMetaData.bestRowSession, true));
        emit("metadata: words", guarded(() -> map("product", connection.getMetaData().getDatabaseProductVersion(), "user", connection.getMetaData().getUserName(),
            "functions", connection.getMetaData().getStringFunctions(), "keywords", digest(connection.getMetaData().getSQLKeywords()),
            "schema", connection.getSchema(), "name length", connection.getMetaData().getMaxTableNameLength())));
    }
}
