DROP INDEX bill_by_customer;
