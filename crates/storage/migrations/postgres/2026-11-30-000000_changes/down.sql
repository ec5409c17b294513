DROP FUNCTION announce;
DROP INDEX totals_by_time;
DROP INDEX revisions_by_time;
CREATE INDEX submissions_by_time ON submissions (received_at, submission_id);
