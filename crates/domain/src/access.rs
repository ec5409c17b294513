//! Access keys: their format, and the units on which they may act.
//!
//! A token consists of `th_`, the key id (8 characters), the secret (30) and a checksum (6), all letters and digits. The
//! prefix and the checksum let secret scanners recognise leaked tokens offline. A key may act on its unit and all units
//! below it, in the tree of the data's period.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use compact_str::CompactString;
use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::code::UnitId;
use crate::field_error::FaultKind;
use crate::tree::Tree;

const PREFIX: &str = "th_";
const ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 30;
const CHECKSUM_CHARS: usize = 6;

/// The role of a key: what it may do on its unit and all units below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Submit reports and read.
    Submitter,
    /// Read only.
    Reader,
    /// Submit reports, read, and manage keys.
    Admin,
}

/// The error for a text that is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is submitter, reader or admin")]
pub struct InvalidRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Submitter, Self::Reader, Self::Admin];

    /// The word for it in files and responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitter => "submitter",
            Self::Reader => "reader",
            Self::Admin => "admin",
        }
    }

    /// Whether the role may submit and withdraw reports.
    pub fn submits(self) -> bool {
        matches!(self, Self::Submitter | Self::Admin)
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
        if text.len() == ID_CHARS && is_base62(text) {
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

/// A key's token, which its holder sends. It is shown once, and never stored or logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// The error for a text that is not a token: wrong length, wrong characters, or wrong checksum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key consists of th_ and 44 letters and digits, of which the last six are a checksum")]
pub struct InvalidToken;

impl Token {
    /// Generates a token from the operating system's random numbers.
    pub fn generate() -> Self {
        let mut random = rand::rng();
        let named = Alphanumeric.sample_string(&mut random, ID_CHARS + SECRET_CHARS);
        let checksum = checksum_of(&named);
        Self(format!("{PREFIX}{named}{checksum}"))
    }

    /// The id of the key.
    pub fn id(&self) -> KeyId {
        KeyId(self.0[PREFIX.len()..PREFIX.len() + ID_CHARS].into())
    }

    /// The digest, which may be stored.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The whole token, for its holder only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidToken)?;
        if rest.len() != ID_CHARS + SECRET_CHARS + CHECKSUM_CHARS || !is_base62(rest) {
            return Err(InvalidToken);
        }
        let (named, checksum) = rest.split_at(ID_CHARS + SECRET_CHARS);
        if checksum_of(named) == checksum {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidToken)
        }
    }
}

/// Shows only the key id, because debug output can end up in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}…", self.id())
    }
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The CRC-32 in base 62, most significant digit first.
fn checksum_of(named: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(named.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// The SHA-256 digest of a token. The secret has 178 random bits, so a slow password hash is not needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

/// The error for a text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct InvalidDigest;

impl TokenDigest {
    /// Whether this is the token's digest. The comparison takes constant time.
    pub fn is_of(&self, token: &Token) -> bool {
        self.0.ct_eq(&token.digest().0).into()
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
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidDigest);
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(digest))
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
    /// A description of the holder.
    pub label: String,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
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
pub fn label_fault(label: &str) -> Option<FaultKind> {
    if label.chars().count() > MAX_LABEL_CHARS {
        Some(FaultKind::TooLong(MAX_LABEL_CHARS))
    } else if label.chars().any(char::is_control) {
        Some(FaultKind::ControlCharacter)
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
}

impl Caller {
    /// Whether a unit is at or below the caller's in a tree. Units that the tree does not contain are out of reach.
    pub fn reaches(&self, tree: &Tree, unit: UnitId) -> bool {
        tree.by_id(unit)
            .is_some_and(|place| place.ancestry().any(|above| above.id() == self.unit))
    }
}

impl From<&Key> for Caller {
    fn from(key: &Key) -> Self {
        Self {
            key: key.id.clone(),
            role: key.role,
            unit: key.unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_parses_and_its_debug_output_shows_only_the_id() {
        let tokens: Vec<Token> = (0..100).map(|_| Token::generate()).collect();
        let ids: HashSet<KeyId> = tokens.iter().map(Token::id).collect();
        assert_eq!(ids.len(), 100);
        for token in &tokens {
            assert_eq!(token.reveal().len(), 47);
            assert_eq!(token.reveal().parse::<Token>().as_ref(), Ok(token));
            assert!(token.digest().is_of(token));
            assert!(!token.digest().is_of(&Token::generate()));
            assert_eq!(format!("{token:?}"), format!("th_{}…", token.id()));
        }
    }

    /// Uses the published check value: CRC-32 of "123456789" is 0xcbf43926.
    #[test]
    fn the_checksum_is_crc_32_in_base_62() {
        assert_eq!(checksum_of("123456789"), "3jZRME");
        let digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let value = "3jZRME"
            .chars()
            .map(|digit| digits.find(digit).unwrap())
            .fold(0_usize, |sum, digit| sum * 62 + digit);
        assert_eq!(value, 0xcbf4_3926);
    }

    #[test]
    fn a_digest_parses_from_its_text() {
        let digest = Token::generate().digest();
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().len(), 64);
        for wrong in ["", "zz", &"é".repeat(32), &"0".repeat(63)] {
            assert_eq!(wrong.parse::<TokenDigest>(), Err(InvalidDigest), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_token_with_one_changed_character_is_rejected(at in 0..47_usize, other in "[0-9A-Za-z_é]") {
            let token = Token::generate();
            let mut changed = token.reveal().to_owned();
            changed.replace_range(at..=at, &other);
            prop_assume!(changed != token.reveal());
            prop_assert_eq!(changed.parse::<Token>(), Err(InvalidToken));
        }

        #[test]
        fn any_text_is_a_token_or_rejected(text in "(th_)?[\\PC]{0,60}") {
            if let Ok(token) = text.parse::<Token>() {
                prop_assert_eq!(token.reveal(), &text);
            }
            drop((text.parse::<TokenDigest>(), text.parse::<Role>()));
            prop_assert!(text.parse::<KeyId>().is_err() || text.len() == 8);
        }
    }

    #[test]
    fn a_key_is_valid_until_it_expires_or_is_revoked() {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let key = Key {
            id: Token::generate().id(),
            role: Role::Reader,
            unit: UnitId(1),
            label: String::new(),
            created_at: time(0),
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
