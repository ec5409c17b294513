//! Access keys: what is stored of them, and the units on which they may act.
//!
//! A key may act on its unit and all units below it, in the tree of the data's period. `tonghop-access` generates and
//! compares tokens; only their digests are stored.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use compact_str::CompactString;

use crate::code::UnitId;
use crate::field_error::FieldErrorKind;
use crate::text::has_reordering_control;
use crate::tree::Tree;

const ID_CHARS: usize = 8;

/// The role of a key: what it may do on its unit and all units below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Submit reports and read.
    Submitter,
    /// Read only.
    Reader,
    /// Submit reports, read, and manage keys.
    Admin,
    /// Read the metrics of the service, and no figures.
    Metrics,
}

/// The error for a text that is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is submitter, reader, admin or metrics")]
pub struct InvalidRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Submitter, Self::Reader, Self::Admin, Self::Metrics];

    /// The word for it in files and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitter => "submitter",
            Self::Reader => "reader",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }

    /// Whether the role may submit and withdraw reports.
    pub fn submits(self) -> bool {
        matches!(self, Self::Submitter | Self::Admin)
    }

    /// Whether the role may read figures.
    pub fn reads(self) -> bool {
        self != Self::Metrics
    }

    /// Whether the role may create and revoke keys.
    pub fn administers(self) -> bool {
        self == Self::Admin
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let named = Self::ALL.into_iter().find(|role| role.as_str() == text);
        named.ok_or(InvalidRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of a key. It is not secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(CompactString);

/// The error for a text that is not a key id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id consists of eight letters and digits")]
pub struct InvalidKeyId;

impl KeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        if text.len() == ID_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidKeyId)
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The originator of an action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The holder of an access key.
    Key(KeyId),
    /// The operator, who runs commands on the service's machine.
    Operator,
}

/// The error for a text that is not an actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor is a key id or `local-operator`: {0}")]
pub struct InvalidActor(InvalidKeyId);

/// The operator's name. It is too long for a key id, so the two cannot be confused.
const OPERATOR: &str = "local-operator";

impl Actor {
    /// The key id, or `local-operator`.
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

/// The SHA-256 digest of a token. The secret has 178 random bits, so a slow password hash is not needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

/// The error for a text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct InvalidDigest;

impl TokenDigest {
    /// The digest with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}

impl FromStr for TokenDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut digest = [0; 32];
        match base16ct::mixed::decode(text, &mut digest) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(digest)),
            _ => Err(InvalidDigest),
        }
    }
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The word for it in files and responses.
    pub id: KeyId,
    /// The role.
    pub role: Role,
    /// The unit. The key may act on this unit and all units below it.
    pub unit: UnitId,
    /// Further units at or above which it acts: only in periods in which its unit belonged to each of them. Its creator had
    /// no access to its unit in the others.
    pub within: Vec<UnitId>,
    /// A description of the holder.
    pub label: String,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// Who created it: an administrator with their key, or the operator.
    pub created_by: Actor,
    /// The time from which the key is rejected; none if it does not expire.
    pub expires_at: Option<DateTime<Utc>>,
    /// The time of revocation.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The time of the last use, accurate to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The key is accepted.
    Valid,
    /// The key has expired.
    Expired,
    /// The key was revoked.
    Revoked,
}

impl KeyState {
    /// The word for it in files and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Key {
    /// The state at a point in time.
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Valid
        }
    }
}

/// The longest label of a key, in characters.
pub const MAX_LABEL_CHARS: usize = 200;

/// The error of a key's label, if it has one.
pub fn label_error(label: &str) -> Option<FieldErrorKind> {
    if label.chars().count() > MAX_LABEL_CHARS {
        Some(FieldErrorKind::TooLong(MAX_LABEL_CHARS))
    } else if label.chars().any(char::is_control) {
        Some(FieldErrorKind::ControlCharacter)
    } else if has_reordering_control(label) {
        Some(FieldErrorKind::ReorderingControl)
    } else {
        None
    }
}

/// The caller of a request, as identified by their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key.
    pub key: KeyId,
    /// The role of the key.
    pub role: Role,
    /// The unit of the key.
    pub unit: UnitId,
    /// Further units to which a unit must belong.
    pub within: Vec<UnitId>,
}

impl Caller {
    /// Whether a unit is at or below the caller's in a tree, and the caller's belongs to the units within which the key acts.
    /// Units that the tree does not contain are out of reach.
    pub fn reaches(&self, tree: &Tree, unit: UnitId) -> bool {
        let Some(place) = tree.by_id(unit) else {
            return false;
        };
        let is_below = |wanted: UnitId| place.ancestry().any(|above| above.id() == wanted);
        is_below(self.unit) && self.within.iter().all(|unit| is_below(*unit))
    }
}

impl From<&Key> for Caller {
    fn from(key: &Key) -> Self {
        Self {
            key: key.id.clone(),
            role: key.role,
            unit: key.unit,
            within: key.within.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_digest_parses_from_its_text() {
        let digest = TokenDigest::new([0xab; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().len(), 64);
        for wrong in ["", "zz", &"é".repeat(32), &"0".repeat(63)] {
            assert_eq!(wrong.parse::<TokenDigest>(), Err(InvalidDigest), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_id_a_role_or_a_digest_or_rejected(text in "[\\PC]{0,60}") {
            drop((text.parse::<TokenDigest>(), text.parse::<Role>()));
            prop_assert!(text.parse::<KeyId>().is_err() || text.len() == 8);
        }
    }

    #[test]
    fn an_actor_is_a_key_or_the_operator() {
        assert_eq!(Actor::Operator.to_string().parse(), Ok(Actor::Operator));
        let key: Actor = "8kQ2vY1c".parse().unwrap();
        assert_eq!(key.to_string(), "8kQ2vY1c");
        assert!("8kQ2vY1".parse::<Actor>().is_err());
    }

    #[test]
    fn a_key_is_valid_until_it_expires_or_is_revoked() {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let key = Key {
            id: "8kQ2vY1c".parse().unwrap(),
            role: Role::Reader,
            unit: UnitId(1),
            within: Vec::new(),
            label: String::new(),
            created_at: time(0),
            created_by: Actor::Operator,
            expires_at: Some(time(10)),
            revoked_at: None,
            last_used_at: None,
        };
        assert_eq!(key.state(time(9)), KeyState::Valid);
        assert_eq!(key.state(time(10)), KeyState::Expired);
        let revoked = Key {
            revoked_at: Some(time(5)),
            ..key
        };
        assert_eq!(revoked.state(time(9)), KeyState::Revoked);
    }
}
