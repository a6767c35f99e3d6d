DROP TABLE bill; DROP TABLE customer;
