DROP TABLE outbox;
DROP TABLE idempotency_keys;
DROP TABLE marks;
DROP TABLE totals;
DROP TABLE revisions;
DROP TABLE submissions;
DROP TABLE units;
DROP TABLE catalogue;
