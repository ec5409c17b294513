//! Files that are sent to everyone as they are.

use std::io::{Read, Write};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::middleware::compression::accepts_gzip;
use crate::problem::Problem;
use crate::request::preconditions::Tags;

/// How long clients keep a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// As long as it does not change, which clients ask each time.
    UntilChanged,
    /// For good: another content has another path.
    Forever,
}

impl Lifetime {
    fn directive(self) -> &'static str {
        match self {
            Self::UntilChanged => "no-cache",
            Self::Forever => "public, max-age=31536000, immutable",
        }
    }
}

/// A file, plain and compressed, so that a request for it costs nothing but its bytes.
#[derive(Clone, Debug)]
pub(crate) struct StaticFile {
    content_type: String,
    plain: Bytes,
    gzip: Bytes,
    digest: String,
    lifetime: Lifetime,
}

impl StaticFile {
    /// A file with these bytes.
    ///
    /// # Errors
    /// Memory does not accept what is written to it, which does not happen.
    pub(crate) fn new(content_type: &str, bytes: &[u8], lifetime: Lifetime) -> std::io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes)?;
        Self::of_gzip(content_type, encoder.finish()?.into(), lifetime)
    }

    /// A file that is compressed already.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn of_gzip(content_type: &str, gzip: Bytes, lifetime: Lifetime) -> std::io::Result<Self> {
        let digest = Sha256::digest(&gzip);
        let mut plain = Vec::new();
        GzDecoder::new(&*gzip).read_to_end(&mut plain)?;
        Ok(Self {
            content_type: content_type.to_owned(),
            digest: base16ct::lower::encode_string(&digest[..8]),
            plain: plain.into(),
            gzip,
            lifetime,
        })
    }

    /// What tells its content from any other.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The response to a request for it.
    ///
    /// # Errors
    /// The condition of the request is malformed.
    pub(crate) fn response(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let tag = format!("W/\"{}\"", self.digest);
        let tags = Tags::if_none_match(request.headers())?;
        let is_known = tags.is_some_and(|tags| tags.match_weakly(&tag));
        let mut response = match is_known {
            true => HttpResponse::NotModified(),
            false => HttpResponse::Ok(),
        };
        response
            .insert_header((ETAG, tag))
            .insert_header((CACHE_CONTROL, self.lifetime.directive()))
            .insert_header((VARY, "Accept-Encoding"));
        if is_known {
            return Ok(response.finish());
        }
        response.insert_header((CONTENT_TYPE, self.content_type.clone()));
        if accepts_gzip(request.headers()) {
            response.insert_header((CONTENT_ENCODING, "gzip"));
            return Ok(response.body(self.gzip.clone()));
        }
        Ok(response.body(self.plain.clone()))
    }
}
