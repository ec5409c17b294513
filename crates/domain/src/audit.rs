//! The audit trail: who did what, when and from where. It names submissions and units, but contains no figures.

use std::fmt::{self, Write};
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::access::{Actor, Key, TokenDigest};
use crate::code::{FormCode, UnitId};
use crate::digest::base64url;
use crate::period::Period;
use crate::submission::{Revision, SubmissionKey};

/// The originator of an action, and the request by which they acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The originator.
    pub actor: Actor,
    /// The address of the caller, or of a proxy in front of the service that is not trusted.
    pub address: Option<IpAddr>,
    /// The request id, as in logs and responses.
    pub request_id: Option<String>,
}

impl Origin {
    /// The origin of commands on the service's machine.
    pub const OPERATOR: Self = Self {
        actor: Actor::Operator,
        address: None,
        request_id: None,
    };
}

/// One action, or one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The originator and the request.
    pub origin: Origin,
    /// The action: the operation id in the OpenAPI document.
    pub action: String,
    /// The outcome: `recorded`, `unchanged`, `replayed`, `read`, `created`, `revoked`, or a problem code.
    pub outcome: String,
    /// The form concerned.
    pub form: Option<FormCode>,
    /// The period concerned.
    pub period: Option<Period>,
    /// The unit concerned.
    pub unit: Option<UnitId>,
    /// The submission and revision, key, indicator or minute concerned.
    pub about: Option<String>,
    /// The number of repetitions, or of submissions concerned.
    pub count: i64,
    /// The proof of what was recorded: of a revision or of a key.
    pub proof: Option<String>,
}

impl AuditEntry {
    /// An action that happened once, without further details.
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
            proof: None,
        }
    }

    /// Adds the form, period and unit concerned.
    #[must_use]
    pub fn on(self, key: &SubmissionKey) -> Self {
        Self {
            form: Some(key.form.clone()),
            period: Some(key.period),
            unit: Some(key.unit),
            ..self
        }
    }

    /// Adds the submission, key, indicator or minute concerned.
    #[must_use]
    pub fn about(self, about: impl fmt::Display) -> Self {
        Self {
            about: Some(about.to_string()),
            ..self
        }
    }

    /// Adds the proof of what was recorded.
    #[must_use]
    pub fn proving(self, proof: String) -> Self {
        Self {
            proof: Some(proof),
            ..self
        }
    }

    /// The SHA-256 digest, in base64url, of the entry and its position in the trail: the batch of entries that one
    /// transaction wrote, its time, and the entry's number in the batch.
    pub fn digest(&self, batch: Uuid, at: DateTime<Utc>, number: i32) -> String {
        let (time, unit) = (at.timestamp_micros(), self.unit.map(|unit| unit.0));
        let mut fields: Vec<Option<&dyn fmt::Display>> = vec![
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
        fields.extend(self.proof.iter().map(|proof| Some(proof as _)));
        digest_of_fields(&fields)
    }

    /// The SHA-256 digest, in base64url, of the digests of a batch's entries.
    pub fn digest_of_batch(entry_digests: &[String]) -> String {
        let mut hash = Sha256::new();
        entry_digests.iter().for_each(|digest| hash.update(digest));
        base64url(hash.finalize())
    }
}

/// The head of the chain of seals: the number of the last seal, and a digest that covers it and all earlier seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealHead {
    /// The number of the seal, counted from 1.
    pub number: i64,
    /// The SHA-256 digest, in base64url, of the previous head, the seal's number and time, and the digests of the sealed
    /// batches.
    pub digest: String,
}

impl SealHead {
    /// The head after the next seal. `sealed` lists the sealed batches with their digests, in order.
    pub fn next(before: Option<&Self>, number: i64, sealed_at: DateTime<Utc>, sealed: &str) -> Self {
        let before = before.map_or("", |before| before.digest.as_str());
        let mut hash = Sha256::new();
        hash.update(format!("{before} {number} {} ", sealed_at.timestamp_micros()));
        hash.update(sealed);
        Self {
            number,
            digest: base64url(hash.finalize()),
        }
    }
}

fn optional<T: fmt::Display>(field: &Option<T>) -> Option<&dyn fmt::Display> {
    field.as_ref().map(|field| field as _)
}

/// The SHA-256 digest, in base64url, of some fields.
fn digest_of_fields(fields: &[Option<&dyn fmt::Display>]) -> String {
    let (mut hash, mut text) = (Sha256::new(), String::with_capacity(64));
    for field in fields {
        // Lengths separate the fields, and an absent field differs from an empty one.
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
    base64url(hash.finalize())
}

/// The proof of a revision: the SHA-256 digest, in base64url, of everything that was recorded. The audit trail contains
/// it, so what was recorded can be compared with it later, and the salt, which the trail does not contain, keeps its
/// readers from guessing small figures. The caller gives the digest of the content, because recording needs it as well.
pub fn revision_proof(revision: &Revision, content_digest: &str, actor: &str, salt: &str) -> String {
    let SubmissionKey { form, period, unit } = &revision.key;
    let time = revision.received_at.timestamp_micros();
    digest_of_fields(&[
        Some(&salt),
        Some(&revision.id),
        Some(&revision.revision),
        Some(form),
        Some(period),
        Some(&unit.0),
        Some(&revision.status.as_str()),
        Some(&time),
        Some(&actor),
        Some(&content_digest),
    ])
}

/// A new salt of a revision's proof: 122 random bits, in base64url.
pub fn new_salt() -> String {
    base64url(Uuid::new_v4().as_bytes())
}

/// The proof of a key: the SHA-256 digest, in base64url, of everything about it that never changes.
pub fn key_proof(key: &Key, token: &TokenDigest) -> String {
    let within: Vec<String> = key.within.iter().map(|unit| unit.0.to_string()).collect();
    let (within, created_at, expires_at) = (
        within.join(" "),
        key.created_at.timestamp_micros(),
        key.expires_at.map(|time| time.timestamp_micros()),
    );
    digest_of_fields(&[
        Some(&key.id),
        Some(token),
        Some(&key.role),
        Some(&key.unit.0),
        Some(&within),
        Some(&key.label),
        Some(&created_at),
        Some(&key.created_by),
        optional(&expires_at),
    ])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::code::SubmissionId;
    use crate::submission::Status;

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
    fn a_digest_depends_on_every_field_of_an_entry() {
        let at = DateTime::UNIX_EPOCH;
        let of = |entry: &AuditEntry| entry.digest(Uuid::nil(), at, 1);
        let changes: [fn(&mut AuditEntry); 11] = [
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
            |entry| entry.proof = Some(String::new()),
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

    /// Stored trails must stay verifiable. Another program computed the expected value from the documented fields.
    #[test]
    fn the_digest_of_an_entry_is_stable() {
        assert_eq!(
            entry().digest(Uuid::nil(), DateTime::UNIX_EPOCH, 1),
            "hB0CUeF7eqX0JmkFWG-yvBUTJI0zMleuVXqFxPAdL_4"
        );
    }

    #[test]
    fn a_proof_depends_on_everything_that_was_recorded() {
        let revision = Revision {
            id: SubmissionId(Uuid::nil()),
            key: SubmissionKey {
                form: "ngay-30-7".parse().unwrap(),
                period: "2021-07".parse().unwrap(),
                unit: UnitId(7),
            },
            revision: 1,
            status: Status::Accepted,
            received_at: DateTime::UNIX_EPOCH,
            content: Arc::default(),
        };
        let changes: [fn(&mut Revision); 8] = [
            |revision| revision.id = SubmissionId(Uuid::max()),
            |revision| revision.key.form = "ngay-30-8".parse().unwrap(),
            |revision| revision.key.period = "2021-08".parse().unwrap(),
            |revision| revision.key.unit = UnitId(8),
            |revision| revision.revision = 2,
            |revision| revision.status = Status::Withdrawn,
            |revision| revision.received_at += chrono::Duration::microseconds(1),
            |revision| Arc::make_mut(&mut revision.content).note = Some(String::new()),
        ];
        let of =
            |revision: &Revision| revision_proof(revision, &revision.content.digest(), "8kQ2vY1c", "salt");
        let mut proofs = vec![
            of(&revision),
            revision_proof(&revision, &revision.content.digest(), "local-operator", "salt"),
            revision_proof(&revision, &revision.content.digest(), "8kQ2vY1c", "pepper"),
        ];
        for change in changes {
            let mut changed = revision.clone();
            change(&mut changed);
            proofs.push(of(&changed));
        }
        let count = proofs.len();
        proofs.sort();
        proofs.dedup();
        assert_eq!(proofs.len(), count);
        assert_eq!(of(&revision), of(&revision.clone()));
    }

    #[test]
    fn a_head_covers_all_earlier_seals() {
        let at = DateTime::UNIX_EPOCH;
        let one = SealHead::next(None, 1, at, "a 1");
        let two = SealHead::next(Some(&one), 2, at, "b 2");
        let other = SealHead::next(None, 1, at, "a 2");
        assert_ne!(one, other);
        assert_ne!(two, SealHead::next(Some(&other), 2, at, "b 2"));
        assert_eq!(two, SealHead::next(Some(&one), 2, at, "b 2"));
    }
}
