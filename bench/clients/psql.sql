-- What only psql has: its backslash commands, on the template's tables and on a few of its own.
\echo @@step setup
\warn @@step setup
CREATE TABLE public.item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text UNIQUE, price numeric(8,2) DEFAULT 1.5 CHECK (price > 0));
CREATE INDEX item_by_price ON item (price DESC);
CREATE VIEW cheap AS SELECT id, sku FROM item WHERE price < 2;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN short AS varchar(3);
CREATE SEQUENCE counter;
CREATE FUNCTION double(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x * 2';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER watch AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION nothing();
COMMENT ON TABLE item IS 'things';
COMMENT ON COLUMN item.sku IS 'stock keeping unit';
\echo @@step d
\warn @@step d
\d
\echo @@step d table
\warn @@step d table
\d item
\echo @@step d plus
\warn @@step d plus
\d+ public.item
\echo @@step d template
\warn @@step d template
\d users
\d order_lines
\echo @@step dt
\warn @@step dt
\dt
\dt public.*
\echo @@step dv
\warn @@step dv
\dv
\d+ cheap
\echo @@step di
\warn @@step di
\di
\echo @@step ds
\warn @@step ds
\ds
\echo @@step df
\warn @@step df
\df
\df double
\echo @@step sf
\warn @@step sf
\sf double
\echo @@step sv
\warn @@step sv
\sv cheap
\echo @@step dT
\warn @@step dT
\dT
\dT+ colour
\echo @@step dD
\warn @@step dD
\dD
\echo @@step dn
\warn @@step dn
\dn
\echo @@step dp
\warn @@step dp
\dp item
\echo @@step du
\warn @@step du
\du
\echo @@step l
\warn @@step l
\l
\echo @@step dx
\warn @@step dx
\dx
\echo @@step nothing found
\warn @@step nothing found
\d nowhere
\echo @@step conninfo
\warn @@step conninfo
SELECT :'USER' AS "user", :'DBNAME' AS "database", :'ENCODING' AS encoding;
\echo @@step copy in
\warn @@step copy in
\copy item (sku, price) FROM PROGRAM 'printf "a\t1\nb\t2.25\nc\t3\n"'
\echo @@step copy out
\warn @@step copy out
\copy (SELECT sku, price FROM item ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)
\echo @@step gset
\warn @@step gset
SELECT count(*) AS how_many FROM item \gset
\echo :how_many
\echo @@step gexec
\warn @@step gexec
SELECT format('SELECT %L AS made', sku) FROM item ORDER BY id \gexec
\echo @@step gdesc
\warn @@step gdesc
SELECT id, sku, price, 'red'::colour AS c FROM item \gdesc
\echo @@step gx
\warn @@step gx
SELECT * FROM item ORDER BY id LIMIT 1 \gx
\echo @@step crosstab
\warn @@step crosstab
SELECT sku, id % 2 AS odd, price FROM item ORDER BY 1 \crosstabview
\echo @@step fetch count
\warn @@step fetch count
\set FETCH_COUNT 10
SELECT i FROM generate_series(1, 35) i;
\unset FETCH_COUNT
\echo @@step on error rollback
\warn @@step on error rollback
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO item (sku) VALUES ('d');
INSERT INTO item (sku) VALUES ('d');
SELECT count(*) FROM item;
COMMIT;
\set ON_ERROR_ROLLBACK off
\echo @@step error fields
\warn @@step error fields
INSERT INTO item (sku, price) VALUES ('e', -1);
\errverbose
SELECT * FROM public.item WHERE nope = 1;
\echo @@step listen
\warn @@step listen
LISTEN chat;
NOTIFY chat, 'hello';
SELECT pg_notify('chat', 'by function') IS NULL AS sent;
UNLISTEN *;
\echo @@step large objects
\warn @@step large objects
\lo_list
\echo @@step change connection
\warn @@step change connection
SET application_name = 'kept';
\c
SHOW application_name;
