-- A laboratory supplier.
INSERT INTO users (email, name) VALUES
  ('hank@globex.example', 'Hank Scorpio'), ('homer@globex.example', 'Homer S.'), ('ingrid@globex.example', 'Ingrid Berg'),
  ('tomas@globex.example', 'Tomas Novak'), ('aiko@globex.example', 'Aiko Tanaka'), ('luis@globex.example', 'Luis Prado'),
  ('chloe@globex.example', 'Chloe Martin'), ('omar@globex.example', 'Omar Haddad'), ('nadia@globex.example', 'Nadia Ferri');

INSERT INTO products (sku, title, price, stock) VALUES
  ('GLX-100', 'Centrifuge', 2490.00, 4), ('GLX-110', 'Microscope', 1320.00, 9),
  ('GLX-120', 'Petri dishes, 500', 48.60, 210), ('GLX-130', 'Pipettes, 96', 66.40, 130),
  ('GLX-140', 'Hammock', 129.00, 25), ('GLX-150', 'Weather machine', 99000.00, 1),
  ('GLX-160', 'Safety goggles', 14.20, 380), ('GLX-170', 'Sugar, no cream', 2.10, 900);
