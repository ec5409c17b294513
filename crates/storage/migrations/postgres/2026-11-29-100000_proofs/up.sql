-- The salt of each revision's proof, which the audit trail contains.
ALTER TABLE revisions ADD COLUMN salt TEXT NOT NULL DEFAULT '';

-- A copy of the last seal: if the last seals are removed, the chain goes on after them, and the gap shows.
CREATE TABLE audit_head (
    id        INTEGER   PRIMARY KEY CHECK (id = 1),
    number    BIGINT    NOT NULL,
    digest    TEXT      NOT NULL,
    sealed_at TIMESTAMP NOT NULL
);
INSERT INTO audit_head SELECT 1, number, head, sealed_at FROM audit_seals ORDER BY number DESC LIMIT 1;

-- What an api process never does, the database refuses to its role, although it may write to the tables.

-- A revoked key stays revoked.
CREATE FUNCTION check_revocations() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
        RAISE EXCEPTION 'key % is revoked, which cannot be undone', OLD.key_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_revocations BEFORE UPDATE OF revoked_at ON access_keys
FOR EACH ROW EXECUTE FUNCTION check_revocations();

-- Who created a key; the units within which alone it acts, as ids with spaces between them; and the role of monitoring.
ALTER TABLE access_keys ADD COLUMN created_by TEXT NOT NULL DEFAULT 'local-operator';
ALTER TABLE access_keys ADD COLUMN within TEXT NOT NULL DEFAULT '';
ALTER TABLE access_keys DROP CONSTRAINT access_keys_role_check;
ALTER TABLE access_keys ADD CONSTRAINT access_keys_role_check CHECK (role IN ('submitter', 'reader', 'admin', 'metrics'));
CREATE INDEX access_keys_by_time ON access_keys (created_at, key_id);
CREATE INDEX access_keys_by_revocation ON access_keys (revoked_at);
CREATE INDEX access_keys_by_unit ON access_keys (unit_id);

-- A key is created by a valid administrator's key whose unit is at or above its own. The owner of the tables, as whom the
-- operator's commands connect, bypasses the policies.
ALTER TABLE access_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON access_keys FOR SELECT USING (true);
CREATE POLICY used_or_revoked ON access_keys FOR UPDATE USING (true);
CREATE POLICY created ON access_keys FOR INSERT WITH CHECK (
    EXISTS (
        SELECT FROM access_keys k
        JOIN unit_ancestry r ON r.ancestor_id = k.unit_id AND r.unit_id = access_keys.unit_id
        WHERE k.key_id = access_keys.created_by AND k.role = 'admin' AND k.revoked_at IS NULL
            AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp() AT TIME ZONE 'UTC')
            -- It acts only where its creator does, unless that is everywhere; and only there it monitors the service.
            AND string_to_array(access_keys.within, ' ') @> string_to_array(k.within, ' ')
            AND (
                string_to_array(access_keys.within, ' ') @> ARRAY[k.unit_id::text] AND access_keys.role <> 'metrics'
                OR NOT EXISTS (
                    SELECT FROM unit_ancestry u WHERE u.unit_id = k.unit_id AND u.ancestor_id <> k.unit_id
                )
            )
    )
);

-- Whether a unit belonged to each of some units on a day.
CREATE FUNCTION is_within(unit BIGINT, within TEXT, day TEXT) RETURNS BOOLEAN LANGUAGE sql STABLE
SET search_path = public, pg_temp AS $$
    SELECT NOT EXISTS (
        SELECT FROM unnest(string_to_array(within, ' ')::bigint[]) AS above (id)
        WHERE NOT EXISTS (
            SELECT FROM unit_ancestry r
            WHERE r.ancestor_id = above.id AND r.unit_id = unit
                AND r.from_day <= day AND (r.to_day IS NULL OR day < r.to_day)
        )
    )
$$;

-- The policies and the check of the migration before, which now also apply what a key acts within, and give the role of
-- monitoring nothing.
DROP POLICY reached ON submissions;
CREATE POLICY reached ON submissions FOR SELECT USING (
    (SELECT current_setting('tonghop.key', true)) = '*'
    OR EXISTS (
        SELECT FROM access_keys k
        JOIN form_periods p ON p.form = submissions.form AND p.period = submissions.period
        JOIN unit_ancestry r ON r.ancestor_id = k.unit_id AND r.unit_id = submissions.unit_id
            AND r.from_day <= p.last_day AND (r.to_day IS NULL OR p.last_day < r.to_day)
        WHERE k.key_id = (SELECT current_setting('tonghop.key', true)) AND k.role <> 'metrics'
            AND (k.within = '' OR is_within(submissions.unit_id, k.within, p.last_day))
    )
);
DROP POLICY reached ON totals;
CREATE POLICY reached ON totals FOR SELECT USING (
    (SELECT current_setting('tonghop.key', true)) = '*'
    OR EXISTS (
        SELECT FROM access_keys k
        JOIN form_periods p ON p.form = totals.form AND p.period = totals.period
        JOIN unit_ancestry r ON r.ancestor_id = k.unit_id AND r.unit_id = totals.unit_id
            AND r.from_day <= p.last_day AND (r.to_day IS NULL OR p.last_day < r.to_day)
        WHERE k.key_id = (SELECT current_setting('tonghop.key', true)) AND k.role <> 'metrics'
            AND (k.within = '' OR is_within(totals.unit_id, k.within, p.last_day))
    )
);

CREATE OR REPLACE FUNCTION check_revisions() RETURNS TRIGGER LANGUAGE plpgsql
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    unfounded UUID;
BEGIN
    -- Roles that bypass the policies bypass this check as well.
    IF row_security_active('revisions') THEN
        SELECT n.submission_id INTO unfounded FROM recorded n
        WHERE NOT EXISTS (
            SELECT FROM submissions s
            JOIN access_keys k ON k.key_id = n.actor AND k.role IN ('submitter', 'admin')
            JOIN form_periods p ON p.form = s.form AND p.period = s.period
            JOIN unit_ancestry r ON r.ancestor_id = k.unit_id AND r.unit_id = s.unit_id
                AND r.from_day <= p.last_day AND (r.to_day IS NULL OR p.last_day < r.to_day)
            WHERE s.submission_id = n.submission_id
                AND (k.within = '' OR is_within(s.unit_id, k.within, p.last_day))
        )
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'a revision of submission % violates row-level security: its key does not reach the unit',
                unfounded USING ERRCODE = 'insufficient_privilege';
        END IF;
        -- Revisions have no gaps, in which something could be inserted later.
        SELECT n.submission_id INTO unfounded FROM recorded n
        WHERE n.revision > 1 AND NOT EXISTS (
            SELECT FROM revisions v WHERE v.submission_id = n.submission_id AND v.revision = n.revision - 1
        )
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'a revision of submission % does not follow the one before', unfounded
                USING ERRCODE = 'check_violation';
        END IF;
    ELSE
        SELECT n.submission_id INTO unfounded FROM recorded n
        WHERE NOT EXISTS (SELECT FROM submissions s WHERE s.submission_id = n.submission_id)
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'a revision is of submission %, which is not there', unfounded
                USING ERRCODE = 'foreign_key_violation';
        END IF;
    END IF;
    RETURN NULL;
END $$;

-- Temporary tables of the same names must not take the place of the real ones.
ALTER FUNCTION check_heads() SET search_path = public, pg_temp;

-- A head advances, to the last revision.
CREATE FUNCTION check_head_advances() RETURNS TRIGGER LANGUAGE plpgsql
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    wrong UUID;
BEGIN
    SELECT c.submission_id INTO wrong FROM changed c JOIN before b USING (submission_id)
    -- The owner may repair a head without advancing it.
    WHERE c.revision < b.revision OR (c.revision = b.revision AND row_security_active('submissions')) OR (c.form, c.period, c.unit_id) <> (b.form, b.period, b.unit_id)
        OR EXISTS (
            SELECT FROM revisions v WHERE v.submission_id = c.submission_id AND v.revision > c.revision
        )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'submission % does not advance to its last revision', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER check_head_advances AFTER UPDATE ON submissions
REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION check_head_advances();
