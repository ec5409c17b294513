//! Messages that no aggregator could act on.

use chrono::Utc;
use tonghop_domain::Envelope;
use tonghop_events::{AmqpSettings, DeadLetter, DeadLetters, DeadLettersError, Death, Disposition, encode};

use crate::recorder::{Consumer, Recorder};
use crate::scene::{SOURCE, Scene, User, recorded};

/// Dead-letters messages: announcements that the handler rejects, and unreadable messages.
async fn dead_letter(scene: &Scene, announcements: &[Envelope], unreadable: &[Vec<u8>]) {
    let handler = Recorder::returning(announcements.iter().map(|_| Disposition::DeadLetter));
    let consumer = Consumer::start(&handler, scene.bus(User::Aggregator)).await;
    scene
        .put(
            announcements
                .iter()
                .map(|one| encode(one, SOURCE))
                .chain(unreadable.iter().cloned()),
        )
        .await;
    let count = announcements.len() + unreadable.len();
    scene.wait_for_depth("dead-letters", count as u32).await;
    consumer.stop().await;
}

fn ids(letters: &[DeadLetter]) -> Vec<&str> {
    let mut ids: Vec<&str> = letters.iter().filter_map(|letter| letter.id.as_deref()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_shows_its_announcement_and_the_reason_of_its_death() {
    let scene = Scene::start().await;
    let readable = recorded(1);
    let begin = Utc::now().timestamp();
    dead_letter(
        &scene,
        std::slice::from_ref(&readable),
        &[b"{\"type\":\"x\\u001b\"}".to_vec()],
    )
    .await;
    let letters = DeadLetters::open(&scene.settings(User::Aggregator))
        .await
        .unwrap();
    let mut listed = letters.list().await.unwrap();
    listed.sort_by_key(|letter| letter.id.is_none());
    let at = |letter: &DeadLetter| letter.death.as_ref().and_then(|death| death.at);
    for letter in &listed {
        let at = at(letter).unwrap().timestamp();
        assert!((begin..=Utc::now().timestamp()).contains(&at), "{letter:?}");
    }
    let rejected = |letter: &DeadLetter| {
        Some(Death {
            reason: "rejected".into(),
            queue: scene.name("aggregator").to_string(),
            count: 1,
            at: at(letter),
        })
    };
    let expected = [
        DeadLetter {
            id: Some(readable.id.to_string()),
            death: rejected(&listed[0]),
            kind: Some("vn.tonghop.submission.recorded.v1".into()),
            form: Some("ngay-30-7".into()),
            period: Some("2021-07".into()),
            province: Some("87".into()),
            unreadable: None,
            size: encode(&readable, SOURCE).len(),
        },
        DeadLetter {
            id: None,
            death: rejected(&listed[1]),
            kind: Some("x\u{1b}".into()),
            form: None,
            period: None,
            province: None,
            unreadable: listed[1]
                .unreadable
                .clone()
                .filter(|why| why.contains("specversion")),
            size: 18,
        },
    ];
    assert_eq!(listed[..], expected);
    assert!(listed[1].unreadable.is_some());
    letters.close().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_redelivered_too_often_dies_of_the_delivery_limit() {
    let scene = Scene::with_queues().await;
    scene.put([encode(&recorded(1), SOURCE)]).await;
    let deliveries = scene.requeue_until_gone("aggregator").await;
    assert_eq!(deliveries, 51, "the first delivery and 50 redeliveries");
    scene.wait_for_depth("dead-letters", 1).await;
    let letters = DeadLetters::open(&scene.settings(User::Aggregator))
        .await
        .unwrap();
    let listed = letters.list().await.unwrap();
    let death = listed[0].death.as_ref().unwrap();
    assert_eq!((death.reason.as_str(), death.count), ("delivery_limit", 1));
    assert_eq!(listed[0].unreadable, None);
    letters.close().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_dead_letters_a_hundred_times_loses_none() {
    let scene = Scene::start().await;
    dead_letter(&scene, &[recorded(1), recorded(2), recorded(3)], &[b"x".to_vec()]).await;
    let mut before = None;
    for _ in 0..20 {
        let letters = DeadLetters::open(&scene.settings(User::Aggregator))
            .await
            .unwrap();
        for _ in 0..5 {
            let listed = letters.list().await.unwrap();
            assert_eq!(listed.len(), 4);
            assert_eq!(
                *before.get_or_insert_with(|| listed.clone()),
                listed,
                "in the same order"
            );
        }
        letters.close().await;
    }
    scene.wait_for_depth("dead-letters", 4).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_dropped_by_id_or_all_at_once() {
    let scene = Scene::start().await;
    let repeated = recorded(1);
    let others = [recorded(2), recorded(3)];
    let sent = [
        repeated.clone(),
        others[0].clone(),
        repeated.clone(),
        others[1].clone(),
    ];
    dead_letter(&scene, &sent, &[b"x".to_vec()]).await;
    let letters = DeadLetters::open(&scene.settings(User::Aggregator))
        .await
        .unwrap();
    assert_eq!(letters.drop_by_id("unknown").await.unwrap(), 0);
    assert_eq!(letters.drop_by_id(&repeated.id.to_string()).await.unwrap(), 2);
    let listed = letters.list().await.unwrap();
    let mut expected = others.map(|other| other.id.to_string());
    expected.sort_unstable();
    assert_eq!(
        (listed.len(), ids(&listed)),
        (3, expected.iter().map(String::as_str).collect())
    );
    assert_eq!(letters.drop_all().await.unwrap(), 3);
    assert_eq!(letters.list().await.unwrap(), []);
    assert_eq!(letters.drop_all().await.unwrap(), 0);
    letters.close().await;
    scene.wait_for_depth("dead-letters", 0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_dead_letters_without_a_queue_or_a_broker_is_an_error() {
    let scene = Scene::start().await;
    let error = DeadLetters::open(&scene.settings(User::Aggregator))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, DeadLettersError::NoQueue(_)), "{error}");
    let nowhere = AmqpSettings::parse("amqp://127.0.0.1:1", "test").unwrap();
    let error = DeadLetters::open(&nowhere).await.err().unwrap();
    assert!(matches!(error, DeadLettersError::Broker(_)), "{error}");
}
