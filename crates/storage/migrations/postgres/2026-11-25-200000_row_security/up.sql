-- Row-level security, the second wall: even if the service forgets a check, a key reads and changes only its units. It
-- does not apply to the owner of the tables, so the service's processes must not be the owner.
--
-- Every transaction sets its subject: tonghop.key is the id of a key, or * for the service's own work. Without a subject
-- it reads nothing. A SELECT around the setting makes PostgreSQL read it once per statement instead of once per row.

-- Each unit with itself and each unit above it, from the first day until before the last one. Days are ISO 8601 and
-- compare as texts; '' precedes all days, NULL follows all.
CREATE TABLE unit_ancestry (
    ancestor_id BIGINT NOT NULL,
    unit_id     BIGINT NOT NULL,
    from_day    TEXT   NOT NULL,
    to_day      TEXT,
    PRIMARY KEY (ancestor_id, unit_id, from_day)
);

-- The day whose tree applies to a form and period.
CREATE TABLE form_periods (
    form     TEXT NOT NULL,
    period   TEXT NOT NULL,
    last_day TEXT NOT NULL,
    PRIMARY KEY (form, period)
);

-- Adopting a catalogue fills the two tables above; without a digest the catalogue is adopted again.
UPDATE catalogue SET digest = '';

ALTER TABLE submissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE revisions ENABLE ROW LEVEL SECURITY;
ALTER TABLE totals ENABLE ROW LEVEL SECURITY;

CREATE POLICY reached ON submissions FOR SELECT USING (
    (SELECT current_setting('tonghop.key', true)) = '*'
    OR EXISTS (
        SELECT FROM access_keys k
        JOIN form_periods p ON p.form = submissions.form AND p.period = submissions.period
        JOIN unit_ancestry r ON r.ancestor_id = k.unit_id AND r.unit_id = submissions.unit_id
            AND r.from_day <= p.last_day AND (r.to_day IS NULL OR p.last_day < r.to_day)
        WHERE k.key_id = (SELECT current_setting('tonghop.key', true))
    )
);
CREATE POLICY begun ON submissions FOR INSERT WITH CHECK ((SELECT current_setting('tonghop.key', true)) = '*');
CREATE POLICY changed ON submissions FOR UPDATE USING ((SELECT current_setting('tonghop.key', true)) = '*');

-- The triggers below check once per statement. A query per row, as for a foreign key, would cost almost as much as the
-- change itself, so submissions and revisions have no foreign keys. The queries start from the changed rows and use
-- indexes: a plan that was made while the tables were small would scan them.

-- A submission belongs to a unit, and its state is that of one of its revisions.
CREATE FUNCTION check_heads() RETURNS TRIGGER LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    unfounded UUID;
BEGIN
    SELECT c.submission_id INTO unfounded FROM changed c
    WHERE NOT EXISTS (
        SELECT FROM revisions v
        WHERE v.submission_id = c.submission_id AND v.revision = c.revision AND v.status = c.status
    )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'submission % says what no revision says', unfounded
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT c.submission_id INTO unfounded FROM changed c
    WHERE NOT EXISTS (SELECT FROM units u WHERE u.unit_id = c.unit_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'submission % is of no unit', unfounded
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER check_new_heads AFTER INSERT ON submissions
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION check_heads();
CREATE TRIGGER check_changed_heads AFTER UPDATE ON submissions
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION check_heads();

CREATE POLICY of_a_submission ON revisions FOR SELECT USING (
    (SELECT current_setting('tonghop.key', true)) = '*'
    OR EXISTS (SELECT FROM submissions s WHERE s.submission_id = revisions.submission_id)
);
-- A revision belongs to a submission. Changes of many keys share a transaction, so each revision is checked against its
-- own key.
CREATE POLICY made ON revisions FOR INSERT WITH CHECK ((SELECT current_setting('tonghop.key', true)) = '*');
CREATE FUNCTION check_revisions() RETURNS TRIGGER LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
        )
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'a revision of submission % violates row-level security: its key does not reach the unit',
                unfounded USING ERRCODE = 'insufficient_privilege';
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
CREATE TRIGGER check_new_revisions AFTER INSERT ON revisions
REFERENCING NEW TABLE AS recorded FOR EACH STATEMENT EXECUTE FUNCTION check_revisions();

CREATE POLICY reached ON totals FOR SELECT USING (
    (SELECT current_setting('tonghop.key', true)) = '*'
    OR EXISTS (
        SELECT FROM access_keys k
        JOIN form_periods p ON p.form = totals.form AND p.period = totals.period
        JOIN unit_ancestry r ON r.ancestor_id = k.unit_id AND r.unit_id = totals.unit_id
            AND r.from_day <= p.last_day AND (r.to_day IS NULL OR p.last_day < r.to_day)
        WHERE k.key_id = (SELECT current_setting('tonghop.key', true))
    )
);
CREATE POLICY refreshed ON totals FOR ALL USING ((SELECT current_setting('tonghop.key', true)) = '*');
