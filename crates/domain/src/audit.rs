//! The audit trail: who did what, when and from where. It names submissions and units, and holds no figures.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{FormCode, InvalidKeyId, KeyId, Period, SubmissionKey, UnitId};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The holder of an access key.
    Key(KeyId),
    /// Whoever runs commands on the service's own machine.
    Operator,
}

/// What names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor is the id of a key, or `local-operator`: {0}")]
pub struct InvalidActor(InvalidKeyId);

/// Too long for the id of a key.
const OPERATOR: &str = "local-operator";

impl Actor {
    /// The id of the key, or `local-operator`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(id) => id.as_str(),
            Self::Operator => OPERATOR,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Actor {
    type Err = InvalidActor;

    fn from_str(text: &str) -> Result<Self, InvalidActor> {
        if text == OPERATOR {
            Ok(Self::Operator)
        } else {
            text.parse().map(Self::Key).map_err(InvalidActor)
        }
    }
}

/// Who did something, and by which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// The address of the peer: the caller, or the proxy before the service.
    pub address: Option<IpAddr>,
    /// The id of the request, as in the log and in the answer.
    pub request_id: Option<String>,
}

impl Origin {
    /// A command on the service's own machine.
    pub const OPERATOR: Self = Self {
        actor: Actor::Operator,
        address: None,
        request_id: None,
    };
}

/// One thing that somebody did, or tried to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who, and by which request.
    pub origin: Origin,
    /// What: the id of the operation in the OpenAPI document.
    pub action: String,
    /// What became of it: `recorded`, `unchanged`, `replayed`, `read`, `created`, `revoked`, or the code of the problem.
    pub outcome: String,
    /// The form that it was about.
    pub form: Option<FormCode>,
    /// The period.
    pub period: Option<Period>,
    /// The unit.
    pub unit: Option<UnitId>,
    /// The submission and revision, the key, the indicator or the minute that it was about.
    pub about: Option<String>,
    /// How many times, or of how many submissions.
    pub count: i64,
}

impl AuditEntry {
    /// Something done once, of which no more is known.
    pub fn new(origin: Origin, action: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self {
            origin,
            action: action.into(),
            outcome: outcome.into(),
            form: None,
            period: None,
            unit: None,
            about: None,
            count: 1,
        }
    }

    /// The same, about a form, period and unit.
    #[must_use]
    pub fn on(self, key: &SubmissionKey) -> Self {
        Self {
            form: Some(key.form.clone()),
            period: Some(key.period),
            unit: Some(key.unit),
            ..self
        }
    }

    /// The same, about a submission, key, indicator or minute.
    #[must_use]
    pub fn about(self, about: impl fmt::Display) -> Self {
        Self {
            about: Some(about.to_string()),
            ..self
        }
    }

    /// The SHA-256, in hexadecimal, of all that the entry says, with its place in the trail: the batch of entries that
    /// one transaction wrote, its time, and the entry's number in it.
    pub fn digest(&self, batch: Uuid, at: DateTime<Utc>, number: i32) -> String {
        fn optional<T: fmt::Display>(field: &Option<T>) -> Option<&dyn fmt::Display> {
            field.as_ref().map(|field| field as _)
        }
        let (time, unit) = (at.timestamp_micros(), self.unit.map(|unit| unit.0));
        let fields: [Option<&dyn fmt::Display>; 13] = [
            Some(&batch),
            Some(&time),
            Some(&number),
            Some(&self.origin.actor),
            optional(&self.origin.address),
            optional(&self.origin.request_id),
            Some(&self.action),
            Some(&self.outcome),
            optional(&self.form),
            optional(&self.period),
            optional(&unit),
            optional(&self.about),
            Some(&self.count),
        ];
        let (mut hash, mut text) = (Sha256::new(), String::with_capacity(64));
        for field in fields {
            // The length keeps two fields from running into the bytes of one; an absent one is not an empty one.
            match field {
                None => hash.update([0]),
                Some(field) => {
                    text.clear();
                    // Writing into a string cannot fail.
                    write!(text, "{field}").ok();
                    hash.update([1]);
                    hash.update((text.len() as u64).to_be_bytes());
                    hash.update(&text);
                }
            }
        }
        hexadecimal(hash)
    }

    /// The SHA-256, in hexadecimal, of the digests of a batch's entries.
    pub fn digest_of_batch(entry_digests: &[String]) -> String {
        let mut hash = Sha256::new();
        entry_digests.iter().for_each(|digest| hash.update(digest));
        hexadecimal(hash)
    }
}

/// Where the chain of seals stands: the number of a seal, and what it and all before it come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealHead {
    /// Counted from 1.
    pub number: i64,
    /// The SHA-256, in hexadecimal, of the head before, the seal's number and time, and the digests of what it seals.
    pub digest: String,
}

impl SealHead {
    /// The head after the next seal. What it seals is given as the batches with their digests, in order.
    pub fn next(before: Option<&Self>, number: i64, sealed_at: DateTime<Utc>, sealed: &str) -> Self {
        let before = before.map_or("", |before| before.digest.as_str());
        let mut hash = Sha256::new();
        hash.update(format!("{before} {number} {} ", sealed_at.timestamp_micros()));
        hash.update(sealed);
        Self {
            number,
            digest: hexadecimal(hash),
        }
    }
}

fn hexadecimal(hash: Sha256) -> String {
    base16ct::lower::encode_string(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        let key = SubmissionKey {
            form: "ngay-30-7".parse().unwrap(),
            period: "2021-07".parse().unwrap(),
            unit: UnitId(7),
        };
        AuditEntry::new(Origin::OPERATOR, "create_submission", "recorded")
            .on(&key)
            .about("x/1")
    }

    #[test]
    fn an_actor_is_a_key_or_the_operator() {
        assert_eq!(Actor::Operator.to_string().parse(), Ok(Actor::Operator));
        let key: Actor = "8kQ2vY1c".parse().unwrap();
        assert_eq!(key.to_string(), "8kQ2vY1c");
        assert!("8kQ2vY1".parse::<Actor>().is_err());
    }

    #[test]
    fn a_digest_depends_on_all_that_an_entry_says() {
        let at = DateTime::UNIX_EPOCH;
        let of = |entry: &AuditEntry| entry.digest(Uuid::nil(), at, 1);
        let changes: [fn(&mut AuditEntry); 10] = [
            |entry| entry.origin.actor = Actor::Key("8kQ2vY1c".parse().unwrap()),
            |entry| entry.origin.address = Some([127, 0, 0, 1].into()),
            |entry| entry.origin.request_id = Some(String::new()),
            |entry| entry.action = "withdraw_submission".into(),
            |entry| entry.outcome = "unchanged".into(),
            |entry| entry.form = None,
            |entry| entry.period = None,
            |entry| entry.unit = Some(UnitId(8)),
            |entry| entry.about = None,
            |entry| entry.count = 2,
        ];
        let mut digests = vec![
            of(&entry()),
            entry().digest(Uuid::max(), at, 1),
            entry().digest(Uuid::nil(), at + chrono::Duration::microseconds(1), 1),
            entry().digest(Uuid::nil(), at, 2),
        ];
        for change in changes {
            let mut changed = entry();
            change(&mut changed);
            digests.push(of(&changed));
        }
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
        assert_eq!(of(&entry()), of(&entry()));
    }

    /// Computed by another program from the fields as they are described: trails that are stored must stay verifiable.
    #[test]
    fn a_digest_stays_what_it_was() {
        assert_eq!(
            entry().digest(Uuid::nil(), DateTime::UNIX_EPOCH, 1),
            "841d0251e17b7aa5f4266905586fb2bc1513248d333257ae557a85c4f01d2ffe"
        );
    }

    #[test]
    fn a_head_holds_all_before_it() {
        let at = DateTime::UNIX_EPOCH;
        let one = SealHead::next(None, 1, at, "a 1");
        let two = SealHead::next(Some(&one), 2, at, "b 2");
        let other = SealHead::next(None, 1, at, "a 2");
        assert_ne!(one, other);
        assert_ne!(two, SealHead::next(Some(&other), 2, at, "b 2"));
        assert_eq!(two, SealHead::next(Some(&one), 2, at, "b 2"));
    }
}
