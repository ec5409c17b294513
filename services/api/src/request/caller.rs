//! The store of a request's caller.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use tonghop_access::AuthorizedStore;

use crate::problem::Problem;

/// What a handler asks for to reach figures: the store behind the checks, of a request that was admitted.
///
/// Only [`crate::middleware::authenticate`] puts a store into a request, so a handler cannot run without one.
#[derive(Clone, Debug)]
pub(crate) struct Authorized(pub(crate) AuthorizedStore);

impl Deref for Authorized {
    type Target = AuthorizedStore;

    fn deref(&self) -> &AuthorizedStore {
        &self.0
    }
}

impl FromRequest for Authorized {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let store = request.extensions().get::<Self>().cloned();
        ready(store.ok_or(Problem::MissingKey))
    }
}
