DROP TABLE outbox, idempotency_keys, marks, totals, revisions, submissions, units, catalogue;
