//! Many clients report for the same units at once: every answer is true, every number exact.

use tonghop_tests::on_both_ways;

on_both_ways!(
    ten_thousand_concurrent_corrections_are_numbered_and_added_exactly,
    a_hundred_simultaneous_posts_with_one_key_are_one_revision,
);

mod stories {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use chrono::{DateTime, Utc};
    use futures_util::future::join_all;
    use serde_json::{Value, json};
    use tonghop_tests::{Answer, PROVINCE, Revisions, TestApp, Way, broadcasts};

    const CLIENTS: usize = 64;
    const CORRECTIONS: usize = 10_000;

    /// Every unit that reports the form.
    fn units() -> Vec<String> {
        let districts = (866..=877).map(|code| code.to_string());
        districts
            .chain(["87-SLDTBXH".into(), "87-TTBTXH".into()])
            .collect()
    }

    pub(super) async fn ten_thousand_concurrent_corrections_are_numbered_and_added_exactly(way: Way) {
        let app = Arc::new(TestApp::start(way).await);
        let begin = Instant::now();
        let turn = Arc::new(AtomicUsize::new(0));
        let clients = (0..CLIENTS).map(|_| tokio::spawn(correct(app.clone(), turn.clone())));
        let mut acknowledged: BTreeMap<String, Revisions> = BTreeMap::new();
        for (sent, answer) in join_all(clients).await.into_iter().flat_map(Result::unwrap) {
            let revisions = acknowledged
                .entry(answer["id"].as_str().unwrap().into())
                .or_default();
            let before = revisions.insert(answer["revision"].as_i64().unwrap(), sent);
            assert!(before.is_none_or(|before| before == sent), "{before:?}: {answer}");
        }
        let taken = begin.elapsed();
        let totals = app.settled_totals_within("VN", Duration::from_secs(30)).await;
        eprintln!(
            "{way:?}: {CORRECTIONS} in {taken:?}, settled after {:?}",
            begin.elapsed()
        );
        assert_eq!(acknowledged.len(), units().len(), "one submission a unit");
        let mut sum = 0;
        for (id, revisions) in &acknowledged {
            assert_eq!(&app.history(id).await, revisions);
            let numbers: Vec<i64> = revisions.keys().copied().collect();
            assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
            sum += revisions.values().last().unwrap();
        }
        assert_eq!(TestApp::value(&totals, "TT.PT"), sum);
        assert_eq!(TestApp::value(&app.totals(PROVINCE).await, "TT.PT"), sum);
        assert_eq!(totals["completeness"]["reported"], 14);
        app.assert_verified("VN").await;
    }

    /// Corrects unit after unit until all corrections are sent. Two of eight successive corrections of a unit are
    /// equal, so the later one may change nothing.
    async fn correct(app: Arc<TestApp>, turn: Arc<AtomicUsize>) -> Vec<(i64, Value)> {
        let (units, mut answers) = (units(), Vec::new());
        loop {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            if turn >= CORRECTIONS {
                return answers;
            }
            let (round, at) = (turn / units.len(), turn % units.len());
            let repeats = round % 8 >= 6;
            let number = (if repeats { round - round % 2 } else { round }) as i64;
            let report = broadcasts(&units[at], number);
            let mut answer = app.post(&report).await;
            // A busy machine may answer 503; the client retries after Retry-After.
            while answer.status == 503 {
                let pause = answer.header("retry-after").parse().unwrap();
                tokio::time::sleep(Duration::from_secs(pause)).await;
                answer = app.post(&report).await;
            }
            let (status, text) = (answer.status, &answer.text);
            assert!(status == 201 || (status == 200 && repeats), "{status} {text}");
            answers.push((number, answer.json()));
        }
    }

    pub(super) async fn a_hundred_simultaneous_posts_with_one_key_are_one_revision(way: Way) {
        let app = TestApp::start(way).await;
        for number in 1..=5 {
            let key = format!("document-{number}");
            let posts = (0..100).map(|_| async {
                app.post_with(&broadcasts("866", number), &[("Idempotency-Key", &key)])
                    .await
            });
            let answers = join_all(posts).await;
            let first = comparable(&answers[0]);
            assert_eq!(
                (first.0, &first.3["revision"], &first.3["figures"][0]["value"]),
                (201, &json!(number), &json!(number))
            );
            for answer in &answers {
                assert_eq!(comparable(answer), first);
            }
            let replayed = |answer: &&Answer| answer.header("idempotency-replayed") == "true";
            assert_eq!(answers.iter().filter(replayed).count(), 99);
            let revisions = app.history(first.3["id"].as_str().unwrap()).await;
            assert_eq!(revisions, (1..=number).map(|number| (number, number)).collect());
        }
        let other = app
            .post_with(&broadcasts("866", 64), &[("Idempotency-Key", "document-1")])
            .await;
        assert_eq!(
            (other.status, other.json()["code"].clone()),
            (422, json!("idempotency-key-reused"))
        );
        let totals = app.settled_totals("VN").await;
        assert_eq!(TestApp::value(&totals, "TT.PT"), 5);
        app.assert_verified("VN").await;
    }

    /// An answer without the field that may differ between two answers to one request: the time since when the totals
    /// include the revision.
    fn comparable(answer: &Answer) -> (u16, &str, &str, Value) {
        let mut body = answer.json();
        let aggregated_at = body["aggregated_at"].take();
        if let Some(time) = aggregated_at.as_str() {
            let time: DateTime<Utc> = time.parse().unwrap();
            let received_at: DateTime<Utc> = body["received_at"].as_str().unwrap().parse().unwrap();
            assert!(time >= received_at, "{}", answer.text);
        }
        (
            answer.status,
            answer.header("etag"),
            answer.header("location"),
            body,
        )
    }
}
