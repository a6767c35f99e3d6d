-- Four orders for every user, two lines for every order, by arithmetic: the same rows at every first run.
INSERT INTO orders (user_id, state, placed_at)
  SELECT u.id, (ARRAY['new', 'paid', 'shipped', 'cancelled'])[1 + (u.place + n) % 4],
         timestamptz '2026-01-05 09:00:00+00' + (u.place * 11 + n * 29) * interval '1 hour'
  FROM (SELECT id, (row_number() OVER (ORDER BY id))::int AS place FROM users) u, generate_series(1, 4) AS n;

INSERT INTO order_lines (order_id, line_no, product_id, quantity)
  SELECT o.id, n, p.id, 1 + (o.place + n) % 3
  FROM (SELECT id, (row_number() OVER (ORDER BY id))::int AS place FROM orders) o
  CROSS JOIN generate_series(1, 2) AS n
  JOIN (SELECT id, (row_number() OVER (ORDER BY id))::int AS place FROM products) p
    ON p.place = 1 + (o.place * 3 + n * 5) % (SELECT count(*) FROM products);
