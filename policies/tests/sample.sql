-- Statements of our own making, one a line, by what both readers say of them: a line of `#` begins a group.
# both, permitted
SELECT 1
SELECT u.id, u.name FROM users AS u WHERE u.name ILIKE 'a%' ORDER BY u.id DESC NULLS LAST LIMIT 10 OFFSET 5
SELECT count(*) FILTER (WHERE paid) AS paid, sum(total) FROM orders GROUP BY ROLLUP (customer_id) HAVING sum(total) > 10
SELECT o.id, row_number() OVER (PARTITION BY o.customer_id ORDER BY o.total) FROM orders o
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT * FROM t
SELECT * FROM orders o LEFT JOIN LATERAL (SELECT * FROM users u WHERE u.id = o.customer_id) x ON true
SELECT a[1], a[2:3], (r).f, j -> 'k' ->> 0 FROM things
SELECT * FROM orders WHERE id = ANY ($1) AND tags @> ARRAY['x'] AND NOT EXISTS (SELECT 1 FROM users)
INSERT INTO users (name, mail) VALUES ('a', 'b'), ('c', DEFAULT) ON CONFLICT (mail) DO UPDATE SET name = excluded.name RETURNING id
INSERT INTO orders SELECT * FROM drafts
UPDATE orders SET total = total * 1.1, note = 'x' FROM users WHERE users.id = orders.customer_id RETURNING orders.*
DELETE FROM orders USING users WHERE users.id = orders.customer_id AND users.name = 'x'
MERGE INTO stock s USING delivery d ON s.id = d.id WHEN MATCHED THEN UPDATE SET n = s.n + d.n WHEN NOT MATCHED THEN INSERT VALUES (d.id, d.n)
CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL, owner_id int REFERENCES users (id) ON DELETE CASCADE)
CREATE INDEX CONCURRENTLY things_name ON things (lower(name))
CREATE VIEW named AS SELECT id, name FROM things
ALTER TABLE things ADD COLUMN note varchar(20) DEFAULT ''
DROP TABLE IF EXISTS things CASCADE
TRUNCATE TABLE things
BEGIN
COMMIT
SAVEPOINT a
SET TIME ZONE 'UTC'
EXPLAIN (ANALYZE, FORMAT json) SELECT * FROM things
SELECT EXTRACT(year FROM now()), CAST('1' AS int), '1'::int, INTERVAL '1 day', DATE '2026-01-01'
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (id, name)
SELECT * FROM users FOR UPDATE SKIP LOCKED
SELECT 'a''b', E'a\nb', $$c$$, U&'\0061'
SELECT * FROM U&"\0075sers"
COMMENT ON COLUMN things.name IS 'what it is called'
# grammar alone, permitted
DO $$ BEGIN PERFORM 1; END $$
CREATE TRIGGER t BEFORE UPDATE ON things FOR EACH ROW WHEN (old.name IS DISTINCT FROM new.name) EXECUTE FUNCTION f('x')
REINDEX TABLE things
VACUUM (ANALYZE) things
REFRESH MATERIALIZED VIEW CONCURRENTLY totals
ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
ALTER TABLE things ALTER COLUMN name SET STORAGE external
ALTER SEQUENCE things_id_seq OWNED BY things.id
ALTER INDEX things_name SET (fillfactor = 80)
ALTER DOMAIN positive DROP CONSTRAINT over_zero
CREATE STATISTICS s (ndistinct) ON a, b FROM things
SET CONSTRAINTS ALL DEFERRED
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)
SELECT (compute(1)).*
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(1, 3)) AS t (a, b)
UPDATE things SET a[1] = 2
INSERT INTO things OVERRIDING SYSTEM VALUE VALUES (1)
CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 5 AS $$ SELECT a $$
# read in two ways, refused
SELECT int4range(1,2) &>'empty', pw FROM secret --'
# refused by policy
CREATE DATABASE other
ALTER SYSTEM SET work_mem = '1GB'
COPY users TO '/tmp/x'
COPY users FROM PROGRAM 'cat'
SELECT pg_read_file('x')
SELECT * FROM pg_authid
SET ROLE postgres
CREATE EXTENSION plpython3u
LOAD 'x'
SELECT * FROM other.users
# refused by the grammar
SELEC 1
SELECT FROM WHERE
SELECT 'open
CREATE TABLE (a int)
