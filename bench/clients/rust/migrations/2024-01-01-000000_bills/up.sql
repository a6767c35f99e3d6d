CREATE TABLE customer (id serial PRIMARY KEY, name varchar(80) NOT NULL UNIQUE);
CREATE TABLE bill (
  id serial PRIMARY KEY,
  customer_id int NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
  amount int NOT NULL CONSTRAINT amount_is_positive CHECK (amount >= 0),
  tags text[] NOT NULL DEFAULT '{}',
  extra jsonb NOT NULL DEFAULT '{}',
  made timestamptz NOT NULL DEFAULT '2024-01-02 03:04:05+00'
);
