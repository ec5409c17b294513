//! The outcome of a change.

use tonghop_domain::{
    Change, Content, Decision, Figure, Head, Precondition, Reported, Status, SubmissionId, decide,
};

fn content(value: i64) -> Content {
    Content {
        figures: vec![Figure {
            indicator: "FLOW".parse().unwrap(),
            reported: Reported::Value(value),
            cells: Vec::new(),
        }],
        note: None,
    }
}

fn head(revision: i32, status: Status, value: i64) -> Head {
    Head {
        id: SubmissionId(uuid::Uuid::nil()),
        revision,
        status,
        digest: content(value).digest(),
        first_received_at: chrono::DateTime::UNIX_EPOCH,
        received_at: chrono::DateTime::UNIX_EPOCH,
    }
}

const CONDITIONS: [Precondition; 4] = [
    Precondition::None,
    Precondition::Absent,
    Precondition::Current(2),
    Precondition::Current(3),
];

#[test]
fn the_first_report_is_revision_1() {
    let report = Change::Report(content(1).into());
    assert_eq!(decide(None, &report, Precondition::None), Decision::Record(1));
    assert_eq!(decide(None, &report, Precondition::Absent), Decision::Record(1));
    assert_eq!(
        decide(None, &report, Precondition::Current(1)),
        Decision::Conflict(0)
    );
    assert_eq!(
        decide(None, &report, Precondition::Current(0)),
        Decision::Conflict(0),
        "there is no current revision"
    );
}

#[test]
fn new_content_becomes_the_next_revision_if_the_condition_is_met() {
    let head = head(3, Status::Accepted, 1);
    let decisions =
        CONDITIONS.map(|condition| decide(Some(&head), &Change::Report(content(2).into()), condition));
    assert_eq!(
        decisions,
        [
            Decision::Record(4),
            Decision::Conflict(3),
            Decision::Conflict(3),
            Decision::Record(4)
        ]
    );
}

#[test]
fn equal_content_is_unchanged_under_any_condition() {
    let head = head(3, Status::Accepted, 1);
    for condition in CONDITIONS {
        assert_eq!(
            decide(Some(&head), &Change::Report(content(1).into()), condition),
            Decision::Unchanged
        );
    }
}

#[test]
fn a_withdrawn_report_can_be_sent_again() {
    let withdrawn = head(3, Status::Withdrawn, 1);
    let again = Change::Report(content(1).into());
    assert_eq!(
        decide(Some(&withdrawn), &again, Precondition::None),
        Decision::Record(4)
    );
    assert_eq!(
        decide(Some(&withdrawn), &again, Precondition::Absent),
        Decision::Conflict(3)
    );
    for condition in CONDITIONS {
        assert_eq!(
            decide(Some(&withdrawn), &Change::Withdraw, condition),
            Decision::Unchanged
        );
    }
    let accepted = head(3, Status::Accepted, 1);
    assert_eq!(
        decide(Some(&accepted), &Change::Withdraw, Precondition::Current(3)),
        Decision::Record(4)
    );
    assert_eq!(
        decide(Some(&accepted), &Change::Withdraw, Precondition::Current(2)),
        Decision::Conflict(3)
    );
}

#[test]
fn contents_ignore_the_order_of_figures_but_not_the_note() {
    let figure = |indicator: &str, reported| Figure {
        indicator: indicator.parse().unwrap(),
        reported,
        cells: Vec::new(),
    };
    let a = figure("FLOW", Reported::Value(0));
    let b = figure("STOCK", Reported::NotDone);
    let digest = |figures: Vec<&Figure>, note: Option<&str>| {
        let content = Content {
            figures: figures.into_iter().cloned().collect(),
            note: note.map(str::to_owned),
        };
        content.digest()
    };
    assert_eq!(digest(vec![&a, &b], None), digest(vec![&b, &a], None));
    let not_done = figure("FLOW", Reported::NotDone);
    let different = [
        digest(vec![&a, &b], None),
        digest(vec![&a, &b], Some("sửa")),
        digest(vec![&a], None),
        digest(vec![&not_done, &b], None),
        digest(vec![], None),
    ];
    let distinct: std::collections::BTreeSet<&String> = different.iter().collect();
    assert_eq!(distinct.len(), different.len());
}
