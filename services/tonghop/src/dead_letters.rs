//! `tonghop dead-letters`: lists and drops the messages that no aggregator could process. Needs only the broker.

use tonghop_events::{Bus, DeadLetter, DeadLetters};
use tonghop_process::{Failure, Settings};

use crate::arguments::DeadLettersAction;
use crate::output::print;

pub(crate) async fn dead_letters(settings: &Settings, action: &DeadLettersAction) -> Result<(), Failure> {
    let Bus::Amqp(amqp) = settings.bus()? else {
        print("Without a broker, announcements stay inside the service: there are no dead letters.\n");
        return Ok(());
    };
    let letters = DeadLetters::open(&amqp).await.map_err(Failure::runtime)?;
    let result = match action {
        DeadLettersAction::List => list(&letters).await,
        DeadLettersAction::Drop { id: None } => drop_all(&letters).await,
        DeadLettersAction::Drop { id: Some(id) } => drop_by_id(&letters, id).await,
    };
    letters.close().await;
    result
}

async fn list(letters: &DeadLetters) -> Result<(), Failure> {
    let found = letters.list().await.map_err(Failure::runtime)?;
    let lines: String = found.iter().map(line).collect();
    print(&format!("{lines}{}.\n", count_text(found.len() as u32)));
    Ok(())
}

async fn drop_all(letters: &DeadLetters) -> Result<(), Failure> {
    let dropped = letters.drop_all().await.map_err(Failure::runtime)?;
    print(&format!("{} dropped.\n", count_text(dropped)));
    Ok(())
}

async fn drop_by_id(letters: &DeadLetters, id: &str) -> Result<(), Failure> {
    match letters.drop_by_id(id).await.map_err(Failure::runtime)? {
        0 => Err(Failure::runtime(format!("no dead letter has the id {id}"))),
        dropped => {
            print(&format!("{} dropped.\n", count_text(dropped)));
            Ok(())
        }
    }
}

fn count_text(count: u32) -> String {
    match count {
        1 => "1 dead letter".into(),
        count => format!("{count} dead letters"),
    }
}

/// A message as one line; - stands for what it does not say.
fn line(letter: &DeadLetter) -> String {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".into(), escape);
    let death = letter.death.as_ref().map_or_else(
        || "- sent there directly".into(),
        |death| {
            let at = death.at.map_or_else(|| "-".into(), |at| format!("{at:?}"));
            let (reason, queue) = (escape(&death.reason), escape(&death.queue));
            format!("{at} {reason} x{} in {queue}", death.count)
        },
    );
    let unreadable = letter
        .unreadable
        .as_deref()
        .map(|why| format!(", unreadable: {}", escape(why)))
        .unwrap_or_default();
    format!(
        "{death}: {}, form {}, period {}, province {}, id {}, {} bytes{unreadable}\n",
        text(&letter.kind),
        text(&letter.form),
        text(&letter.period),
        text(&letter.province),
        text(&letter.id),
        letter.size
    )
}

/// Escapes the text of a message, which could otherwise break the line or control the terminal.
fn escape(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use tonghop_events::Death;

    use super::*;

    #[test]
    fn a_line_escapes_what_a_hostile_message_says() {
        let letter = DeadLetter {
            id: Some("một\nhai".into()),
            death: Some(Death {
                reason: "rejected".into(),
                queue: "tonghop.aggregator".into(),
                count: 1,
                at: "2021-08-01T00:00:00Z".parse().ok(),
            }),
            kind: Some("\u{1b}[2J".into()),
            form: None,
            period: Some("2021-07".into()),
            province: Some("x".repeat(500)),
            unreadable: Some("unknown event type \u{1b}[2J".into()),
            size: 17,
        };
        let expected = format!(
            "2021-08-01T00:00:00Z rejected x1 in tonghop.aggregator: \\u{{1b}}[2J, form -, period 2021-07, \
             province {}, id một\\nhai, 17 bytes, unreadable: unknown event type \\u{{1b}}[2J\n",
            "x".repeat(200)
        );
        assert_eq!(line(&letter), expected);
    }
}
