-- The order of changes, which lists by time and the change feed follow. The first index replaces that of the heads, so
-- that a change still writes to as many indexes as before.
DROP INDEX submissions_by_time;
CREATE INDEX revisions_by_time ON revisions (received_at, submission_id, revision);
CREATE INDEX totals_by_time ON totals (refreshed_at);

-- Announces the transaction to whoever looks for the watermark, the time before which nothing can still appear, and
-- returns the time. The upper 16 bits of the lock's key distinguish announcements from other advisory locks; the others are
-- milliseconds since 1970.
CREATE FUNCTION announce() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock_shared((29799::bigint << 48) | floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint);
    SELECT clock_timestamp();
$$;
