-- A hardware shop.
INSERT INTO users (email, name) VALUES
  ('wile@acme.example', 'Wile Coyote'), ('road@acme.example', 'Road Runner'), ('daffy@acme.example', 'Daffy Duck'),
  ('porky@acme.example', 'Porky Pig'), ('elmer@acme.example', 'Elmer Fudd'), ('granny@acme.example', 'Granny Webster'),
  ('tweety@acme.example', 'Tweety Bird'), ('marvin@acme.example', 'Marvin Martian'), ('lola@acme.example', 'Lola Bunny'),
  ('pepe@acme.example', 'Pepe Skunk'), ('foghorn@acme.example', 'Foghorn Leghorn'), ('taz@acme.example', 'Taz Devil');

INSERT INTO products (sku, title, price, stock) VALUES
  ('ACM-001', 'Anvil, 50 kg', 89.00, 40), ('ACM-002', 'Anvil, 100 kg', 149.00, 12),
  ('ACM-003', 'Rocket skates', 219.50, 7), ('ACM-004', 'Giant magnet', 59.90, 30),
  ('ACM-005', 'Portable hole', 19.99, 100), ('ACM-006', 'Invisible paint, 5 l', 34.00, 55),
  ('ACM-007', 'Spring shoes', 74.25, 18), ('ACM-008', 'Earthquake pills', 12.80, 240),
  ('ACM-009', 'Bird seed, 10 kg', 9.95, 500), ('ACM-010', 'Catapult', 399.00, 3);
