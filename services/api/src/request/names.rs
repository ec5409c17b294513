//! The query parameter that adds names to codes.

use actix_web::HttpRequest;
use tonghop_domain::Names;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::problem::text::{Language, localized};
use crate::request::parameters::query_parameters;
use crate::request::query::Query;

query_parameters! {
    /// The query parameter that adds names to codes.
    pub(crate) struct NamesQuery {
        /// Adds names beside codes, in this language
        #[param(value_type = Option<NamesLanguage>, inline)]
        names: Option<Language> = read_language,
    }
}

/// The language of names.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes the parameter for the OpenAPI document; read_language reads it"
)]
pub(crate) enum NamesLanguage {
    /// Vietnamese.
    #[serde(rename = "vi")]
    Vietnamese,
    /// English.
    #[serde(rename = "en")]
    English,
}

/// Reads the tag of a language.
pub(crate) fn read_language(query: &mut Query, name: &'static str) -> Option<Language> {
    let hint = || localized("Write vi or en.", "Hãy viết vi hoặc en.");
    query.optional(name, hint, |text| {
        [Language::Vi, Language::En]
            .into_iter()
            .find(|language| language.tag() == text)
    })
}

/// Reads a query that can have this parameter only.
pub(crate) fn read_only_names(request: &HttpRequest) -> Result<Option<Language>, Problem> {
    let mut query = Query::of(request);
    let NamesQuery { names } = NamesQuery::read(&mut query);
    query.finish()?;
    Ok(names)
}

/// The name in a language.
pub(crate) fn name_in(names: &Names, language: Language) -> String {
    match language {
        Language::Vi => names.vi.clone(),
        Language::En => names.en.clone(),
    }
}
