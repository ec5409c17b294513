//! The tables as diesel sees them. The migrations describe their contents.

diesel::table! {
    catalogue (id) {
        id -> Integer,
        digest -> Text,
        adopted_at -> Timestamp,
    }
}

diesel::table! {
    indicators (code) {
        code -> Text,
        kind -> Text,
        value_type -> Text,
        measure_vi -> Text,
        measure_en -> Text,
        across_time -> Text,
    }
}

diesel::table! {
    units (unit_id) {
        unit_id -> BigInt,
        code -> Text,
        valid_from -> Nullable<Text>,
        valid_to -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    use crate::database::uuid::Id;

    submissions (submission_id) {
        submission_id -> Id,
        form -> Text,
        period -> Text,
        unit_id -> BigInt,
        revision -> Integer,
        status -> Text,
        digest -> Text,
        first_received_at -> Timestamp,
        received_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    use crate::database::uuid::Id;

    revisions (submission_id, revision) {
        submission_id -> Id,
        revision -> Integer,
        status -> Text,
        received_at -> Timestamp,
        figures -> Text,
        note -> Nullable<Text>,
        actor -> Text,
        salt -> Text,
    }
}

diesel::table! {
    totals (form, period, unit_id) {
        form -> Text,
        period -> Text,
        unit_id -> BigInt,
        version -> BigInt,
        refreshed_at -> Timestamp,
        body -> Text,
    }
}

diesel::table! {
    marks (mark_id) {
        mark_id -> BigInt,
        form -> Text,
        period -> Text,
        unit_id -> BigInt,
        since -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    use crate::database::uuid::Id;

    idempotency_keys (caller, key) {
        caller -> Text,
        key -> Text,
        request -> Text,
        created -> Bool,
        submission_id -> Id,
        revision -> Integer,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    use crate::database::uuid::Id;

    outbox (outbox_id) {
        outbox_id -> Id,
        announcement -> Text,
        created_at -> Timestamp,
        claimed_until -> Nullable<Timestamp>,
    }
}

diesel::table! {
    write_probe (id) {
        id -> Integer,
        filler -> Text,
    }
}

diesel::table! {
    access_keys (key_id) {
        key_id -> Text,
        digest -> Text,
        role -> Text,
        unit_id -> BigInt,
        within -> Text,
        label -> Text,
        created_at -> Timestamp,
        created_by -> Text,
        expires_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
        last_used_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    audit_batches (batch_id) {
        batch_id -> Text,
        at -> Timestamp,
        digest -> Text,
        entry_digests -> Text,
        entries -> Text,
    }
}

diesel::table! {
    audit_seals (number) {
        number -> BigInt,
        sealed_at -> Timestamp,
        batches -> Text,
        head -> Text,
    }
}

diesel::table! {
    audit_head (id) {
        id -> Integer,
        number -> BigInt,
        digest -> Text,
        sealed_at -> Timestamp,
    }
}

diesel::table! {
    unit_ancestry (ancestor_id, unit_id, from_day) {
        ancestor_id -> BigInt,
        unit_id -> BigInt,
        from_day -> Text,
        to_day -> Nullable<Text>,
    }
}

diesel::table! {
    form_periods (form, period) {
        form -> Text,
        period -> Text,
        last_day -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(submissions, revisions);
