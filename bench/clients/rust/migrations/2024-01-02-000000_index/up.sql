CREATE INDEX bill_by_customer ON bill (customer_id);
