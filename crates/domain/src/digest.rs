//! Digests and salts as text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes in base64url without padding (RFC 4648, section 5). A SHA-256 digest has 43 characters, where hexadecimal needs 64:
/// three digests are stored with each revision.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
