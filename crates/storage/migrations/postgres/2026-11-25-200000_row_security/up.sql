-- The second wall: even where the service forgets to ask, a key sees and changes nothing but what it reaches. Whoever
-- owns the tables passes it, so the service's processes are not to.
--
-- Every transaction says for whom it is: tonghop.key is the id of a key, or * for the service's own work. Where it says
-- nothing, it sees nothing. Read by a SELECT of its own, it is read once a statement and not once a row.

-- Who is at or below whom, and when: from the first day to before the last one. Days are ISO 8601, and compare as texts;
-- '' is before all days, NULL after all.
CREATE TABLE unit_ancestry (
    ancestor_id BIGINT NOT NULL,
    unit_id     BIGINT NOT NULL,
    from_day    TEXT   NOT NULL,
    to_day      TEXT,
    PRIMARY KEY (ancestor_id, unit_id, from_day)
);

-- The day whose tree counts for a form and period.
CREATE TABLE form_periods (
    form     TEXT NOT NULL,
    period   TEXT NOT NULL,
    last_day TEXT NOT NULL,
    PRIMARY KEY (form, period)
);

-- The two tables above are filled when a catalogue is adopted; this one has to be once more.
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

-- What is looked at below is looked at once a statement: a query for every row, as the check of a foreign key is, costs most of
-- what the change itself does. So submissions and revisions have no foreign keys. From the changed rows on, one by one: a plan that was
-- made while the tables were small would read them whole.

-- A submission is of a unit, and its state is that of a revision.
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
-- A revision is of a submission. Changes of many keys share a transaction, so each revision is checked against its own.
CREATE POLICY made ON revisions FOR INSERT WITH CHECK ((SELECT current_setting('tonghop.key', true)) = '*');
CREATE FUNCTION check_revisions() RETURNS TRIGGER LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    unfounded UUID;
BEGIN
    -- Whoever passes the policies passes this, too.
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
