//! What the holder of an access key sends.
//!
//! A token is `th_`, eight characters that name the key, thirty that are its secret, and a checksum of six, all of them
//! letters and digits. Prefix and checksum let scanners for leaked secrets recognize one without asking anybody.

use std::fmt;
use std::str::FromStr;

use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tonghop_domain::{KeyId, TokenDigest};

const PREFIX: &str = "th_";
const ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 30;
const CHECKSUM_CHARS: usize = 6;

/// An access key as its holder has it. It is shown once, stored nowhere, and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// The text is no token: it has another length, other characters, or a wrong checksum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is th_ and 44 letters and digits, of which the last six fit the others")]
pub struct InvalidToken;

impl Token {
    /// Generates a token of random letters and digits, seeded by the operating system.
    pub fn generate() -> Self {
        Self::with_checksum(&Alphanumeric.sample_string(&mut rand::rng(), ID_CHARS + SECRET_CHARS))
    }

    /// Generates a token of a key with this id.
    pub fn generate_for(id: &KeyId) -> Self {
        let secret = Alphanumeric.sample_string(&mut rand::rng(), SECRET_CHARS);
        Self::with_checksum(&format!("{id}{secret}"))
    }

    /// The token of an id and a secret.
    fn with_checksum(id_and_secret: &str) -> Self {
        Self(format!("{PREFIX}{id_and_secret}{}", checksum_of(id_and_secret)))
    }

    /// The id of the key.
    #[expect(
        clippy::expect_used,
        reason = "a token is only made of letters and digits, and the id is its first eight"
    )]
    pub fn id(&self) -> KeyId {
        let id = &self.0[PREFIX.len()..PREFIX.len() + ID_CHARS];
        id.parse().expect("eight letters and digits are a key's id")
    }

    /// What may be stored of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::new(Sha256::digest(self.0.as_bytes()).into())
    }

    /// Whether a digest is this token's. The comparison takes the same time whatever the bytes are.
    pub(crate) fn has_digest(&self, digest: &TokenDigest) -> bool {
        self.digest().as_bytes().ct_eq(digest.as_bytes()).into()
    }

    /// The whole token, for its holder alone.
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

/// Shows the id only: a debug rendering may end up in a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}…", self.id())
    }
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The CRC-32 in base 62, the most significant digit first.
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_parses_as_generated_and_shows_only_its_id() {
        let tokens: Vec<Token> = (0..100).map(|_| Token::generate()).collect();
        let ids: HashSet<KeyId> = tokens.iter().map(Token::id).collect();
        assert_eq!(ids.len(), 100);
        for token in &tokens {
            assert_eq!(token.reveal().len(), 47);
            assert_eq!(token.reveal().parse::<Token>().as_ref(), Ok(token));
            assert!(token.has_digest(&token.digest()));
            assert!(!token.has_digest(&Token::generate().digest()));
            assert_eq!(format!("{token:?}"), format!("th_{}…", token.id()));
            let other = Token::generate_for(&token.id());
            assert_eq!(other.id(), token.id());
            assert_eq!(other.reveal().parse::<Token>().as_ref(), Ok(&other));
            assert_ne!(other, *token);
        }
    }

    /// CRC-32 of "123456789" is 0xcbf43926, the check value of its published descriptions.
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

    proptest! {
        #[test]
        fn a_changed_character_makes_a_token_invalid(at in 0..47_usize, other in "[0-9A-Za-z_é]") {
            let token = Token::generate();
            let mut changed = token.reveal().to_owned();
            changed.replace_range(at..=at, &other);
            prop_assume!(changed != token.reveal());
            prop_assert_eq!(changed.parse::<Token>(), Err(InvalidToken));
        }

        #[test]
        fn a_parsed_token_is_the_text_it_came_from(text in "(th_)?[\\PC]{0,60}") {
            if let Ok(token) = text.parse::<Token>() {
                prop_assert_eq!(token.reveal(), &text);
            }
        }
    }
}
