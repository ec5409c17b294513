-- The order of changes, which lists by time and the change feed follow. The first index replaces that of the heads, so
-- that a change still writes to as many indexes as before.
DROP INDEX submissions_by_time;
CREATE INDEX revisions_by_time ON revisions (received_at, submission_id, revision);
CREATE INDEX totals_by_time ON totals (refreshed_at);
