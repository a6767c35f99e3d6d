-- The example template: a small shop. It runs as the tenant's owner, in the tenant's own schema.
CREATE TABLE users (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email      text NOT NULL UNIQUE,
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE products (
  id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sku   text NOT NULL UNIQUE,
  title text NOT NULL,
  price numeric(12, 2) NOT NULL CHECK (price >= 0),
  stock int NOT NULL DEFAULT 0
);

CREATE TABLE orders (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id   bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  state     text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'paid', 'shipped', 'cancelled')),
  placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_user ON orders (user_id, placed_at);

CREATE TABLE order_lines (
  order_id   bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
  line_no    int NOT NULL,
  product_id bigint NOT NULL REFERENCES products,
  quantity   int NOT NULL DEFAULT 1 CHECK (quantity > 0),
  PRIMARY KEY (order_id, line_no)
);
CREATE INDEX order_lines_product ON order_lines (product_id);

CREATE VIEW open_orders AS
  SELECT o.id, u.email, o.placed_at FROM orders o JOIN users u ON u.id = o.user_id WHERE o.state IN ('new', 'paid');

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.updated_at := now(); RETURN NEW; END';
CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
