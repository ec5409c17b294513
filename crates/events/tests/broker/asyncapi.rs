//! The messages in `openapi/asyncapi.yaml` are those that the broker delivers.

use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use serde_json::{Value, json};
use tonghop_domain::Envelope;
use tonghop_events::decode;

use crate::outbox::{MemoryOutbox, Relay};
use crate::scene::{RECOVERY, Scene, User};

fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/asyncapi.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The routing key of a channel for an example.
fn routing_key(channel: &Value, payload: &Value) -> String {
    let key = channel["address"].as_str().unwrap().to_owned();
    ["province", "form"].iter().fold(key, |key, name| {
        key.replace(&format!("{{{name}}}"), payload["data"][name].as_str().unwrap())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_messages_are_those_that_a_consumer_receives() {
    let scene = Scene::with_queues().await;
    let (document, source) = (document(), format!("/{}", scene.settings(User::Api).namespace()));
    let mut examples = Vec::new();
    for (name, channel) in document["channels"].as_object().unwrap() {
        let message = &document["components"]["messages"][name];
        assert_eq!(channel["bindings"]["amqp"]["exchange"]["name"], "tonghop.events");
        for example in message["examples"].as_array().unwrap() {
            let mut payload = example["payload"].clone();
            assert_eq!(payload["source"], "/tonghop");
            payload["source"] = json!(source);
            examples.push((routing_key(channel, &payload), payload));
        }
    }
    assert_eq!(examples.len(), 2);

    let (_connection, channel) = scene.channel_of(User::Administrator).await;
    let queue = scene.name("documented");
    let none = FieldTable::default;
    let declare = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.clone(), declare, none())
        .await
        .unwrap();
    for (key, _) in &examples {
        let (exchange, key) = (scene.name("events"), ShortString::from(key.clone()));
        let options = QueueBindOptions::default();
        channel
            .queue_bind(queue.clone(), exchange, key, options, none())
            .await
            .unwrap();
    }
    let read = |payload: &Value| decode(payload.to_string().as_bytes()).unwrap();
    let envelopes: Vec<Envelope> = examples.iter().map(|(_, payload)| read(payload)).collect();
    let outbox = MemoryOutbox::holding(&envelopes);
    let relay = Relay::start(&outbox, scene.bus(User::Api));
    outbox.wait_until_settled(&envelopes, RECOVERY).await;
    for (key, payload) in &examples {
        let message = channel
            .basic_get(queue.clone(), lapin::options::BasicGetOptions { no_ack: true })
            .await
            .unwrap()
            .unwrap();
        let received: Value = serde_json::from_slice(&message.data).unwrap();
        assert_eq!(received, *payload);
        assert_eq!(message.routing_key.as_str(), key);
        let media_type = document["defaultContentType"].as_str().unwrap();
        assert_eq!(*message.properties.content_type(), Some(media_type.into()));
    }
    relay.stop().await;
    scene.end().await;
}
