// What PostgreSQL's JDBC driver does, through the front at a port of loopback: Through.java PORT.

import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Through {
    private static String address;

    public static void main(String[] arguments) throws Exception {
        address = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/postgres?user=postgres&sslmode=disable";
        try (Connection connection = DriverManager.getConnection(address)) {
            execute(connection, "create table through_java (n int primary key, t text)");
            prepared(connection);
            autocommitOff(connection);
            errorThenOn(connection);
            fetchSize(connection);
            batch(connection);
            cancel(connection);
            copy(connection);
            notify(connection);
            execute(connection, "drop table through_java");
        }
        try (Connection simple = DriverManager.getConnection(address + "&preferQueryMode=simple")) {
            same("1", one(simple, "select 1"));
        }
        System.out.println("ok");
    }

    private static void prepared(Connection connection) throws SQLException {
        // From the fifth on, the server has a name for it.
        try (PreparedStatement adds = connection.prepareStatement("select ?::int + 1")) {
            for (int number = 0; number < 20; number++) {
                adds.setInt(1, number);
                try (ResultSet rows = adds.executeQuery()) {
                    check(rows.next() && rows.getInt(1) == number + 1, "the sum");
                }
            }
        }
    }

    private static void autocommitOff(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        execute(connection, "insert into through_java values (1, 'lost')");
        connection.rollback();
        execute(connection, "insert into through_java values (1, 'one')");
        var savepoint = connection.setSavepoint();
        fails("23505", () -> execute(connection, "insert into through_java values (1, 'again')"));
        connection.rollback(savepoint);
        execute(connection, "insert into through_java values (3, 'three')");
        connection.commit();
        connection.setAutoCommit(true);
        same("1,3", one(connection, "select string_agg(n::text, ',' order by n) from through_java"));
    }

    private static void errorThenOn(Connection connection) throws SQLException {
        fails("42601", () -> execute(connection, "selec 1"));
        fails("22012", () -> one(connection, "select 1 / 0"));
        fails("42P01", () -> one(connection, "select * from nowhere"));
        same("7", one(connection, "select 7"));
    }

    private static void fetchSize(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(100);
            try (ResultSet rows = statement.executeQuery("select generate_series(1, 1000)")) {
                for (int number = 1; number <= 1000; number++) {
                    check(rows.next() && rows.getInt(1) == number, "row " + number);
                }
                check(!rows.next(), "the end");
            }
            // Another statement between two fetches.
            try (ResultSet rows = statement.executeQuery("select generate_series(1, 150)")) {
                check(rows.next(), "the first row");
                same("7", one(connection, "select 7"));
                int count = 1;
                while (rows.next()) count++;
                check(count == 150, "all rows: " + count);
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    private static void batch(Connection connection) throws SQLException {
        try (PreparedStatement into = connection.prepareStatement("insert into through_java values (?, ?)")) {
            for (int number = 1000; number < 2000; number++) {
                into.setInt(1, number);
                into.setString(2, "many");
                into.addBatch();
            }
            check(Arrays.stream(into.executeBatch()).allMatch(count -> count == 1), "each inserted one");
            for (int number : new int[] {5000, 1, 5001}) {
                into.setInt(1, number);
                into.setString(2, "key");
                into.addBatch();
            }
            try {
                into.executeBatch();
                throw new AssertionError("the key is there already");
            } catch (BatchUpdateException error) {
                same("23505", error.getSQLState());
            }
        }
        same("1002", one(connection, "select count(*) from through_java"));
    }

    private static void cancel(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread canceller = new Thread(() -> {
                try {
                    Thread.sleep(300);
                    statement.cancel();
                } catch (Exception error) {
                    error.printStackTrace();
                }
            });
            canceller.start();
            fails("57014", () -> statement.execute("select pg_sleep(30)"));
            canceller.join();
            statement.setQueryTimeout(1);
            fails("57014", () -> statement.execute("select pg_sleep(30)"));
        }
        same("7", one(connection, "select 7"));
    }

    private static void copy(Connection connection) throws Exception {
        CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder lines = new StringBuilder();
        for (int number = 10000; number < 15000; number++) lines.append(number).append("\tcopied\n");
        long into = copies.copyIn("copy through_java from stdin", new StringReader(lines.toString()));
        check(into == 5000, "rows in: " + into);
        StringWriter out = new StringWriter();
        copies.copyOut("copy (select * from through_java where n >= 10000 order by n) to stdout", out);
        same(lines.toString(), out.toString());
    }

    private static void notify(Connection connection) throws SQLException {
        try (Connection listens = DriverManager.getConnection(address)) {
            execute(listens, "listen through_java");
            execute(connection, "notify through_java, 'hello'");
            var told = listens.unwrap(PGConnection.class).getNotifications(20_000);
            check(told != null && told.length == 1 && told[0].getParameter().equals("hello"), "the notice");
        }
    }

    private interface Action {
        void run() throws SQLException;
    }

    private static void fails(String state, Action action) {
        try {
            action.run();
        } catch (SQLException error) {
            same(state, error.getSQLState());
            return;
        }
        throw new AssertionError("expected " + state);
    }

    private static void execute(Connection connection, String text) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(text);
        }
    }

    private static String one(Connection connection, String text) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(text)) {
            check(rows.next(), text);
            return rows.getString(1);
        }
    }

    private static void same(String expected, String got) {
        check(expected.equals(got), "expected " + expected + ", got " + got);
    }

    private static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }
}
