//! `GET /v1/totals` and `GET /v1/totals.csv`

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, VARY};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get};
use sha2::{Digest, Sha256};
use tonghop_access::TotalRef;
use tonghop_domain::IndicatorCode;
use tonghop_storage::TotalRead;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::openapi::text_types::IndicatorText;
use crate::problem::Problem;
use crate::problem::text::Language;
use crate::request::caller::Authorized;
use crate::request::media_type::{CSV, JSON, accepted};
use crate::request::names::NamesQuery;
use crate::request::parameters::query_parameters;
use crate::request::preconditions::{IfNoneMatchHeader, Tags};
use crate::request::query::Query;
use crate::request::total_ref::{TotalQuery, require_indicator};
use crate::totals::body::TotalsBody;
use crate::totals::csv;

query_parameters! {
    /// The query parameter that selects indicators of a total.
    pub(crate) struct ShownIndicators {
        /// Only these indicators; repeat the parameter for several
        #[param(value_type = Option<Vec<IndicatorText>>, inline, explode = true, example = json!(["TT.PT", "TT.BAO"]))]
        indicator: Vec<IndicatorCode> = Query::indicators,
    }
}

/// Read a total
///
/// Returns the figures of a unit and all units below it, its completeness and its freshness, all of one moment. With
/// `Accept: text/csv`, the response is that of `/v1/totals.csv`.
#[utoipa::path(
    tag = "totals",
    params(
        TotalQuery,
        ShownIndicators,
        NamesQuery,
        IfNoneMatchHeader,
    ),
    responses(
        (status = 200, description = "The total of the unit", body = TotalsBody, headers(
            ("ETag" = String, description = "A weak tag of the total, its freshness, the catalogue, the query and the media type"),
            ("Cache-Control" = String, description = "`no-store`: keep the response yourself, and ask again with If-None-Match")
        )),
        (status = 304, description = "The response that you have is current", headers(
            ("ETag" = String, description = "Its tag")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/totals")]
pub(crate) async fn get_total(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    let media = accepted(request.headers(), &[JSON, CSV])?;
    let mut query = Query::of(&request);
    // As at `/v1/totals.csv`, where both languages have columns.
    let names = match media {
        JSON => NamesQuery::read(&mut query).names,
        _ => None,
    };
    read_total(&request, query, &store, media, names).await
}

/// Read a total as CSV
///
/// Returns one row per indicator and per cell, with the columns `form`, `period`, `unit`, `indicator`, `name_vi`,
/// `name_en`, `breakdown` (such as `age=16_17;sex=nu`), `value`, `items` (one per line), `items_truncated`,
/// `reporting`, `done_no_number`, `not_done`, `not_applicable`, `not_reported`, `expected` (the sum of these five),
/// `form_expected` and `form_reported` (units of the form), `pending`, `as_of`. `expected` and the five counts are empty
/// in the rows of cells and of ratios. A text that a spreadsheet would read as a formula begins with an apostrophe.
#[utoipa::path(
    tag = "totals",
    params(
        TotalQuery,
        ShownIndicators,
        IfNoneMatchHeader,
    ),
    responses(
        (status = 200, description = "The total of the unit", content((String = "text/csv")), headers(
            ("ETag" = String, description = "A weak tag of the total, its freshness, the catalogue, the query and the media type"),
            ("Cache-Control" = String, description = "`no-store`: keep the response yourself, and ask again with If-None-Match")
        )),
        (status = 304, description = "The response that you have is current", headers(
            ("ETag" = String, description = "Its tag")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/totals.csv")]
pub(crate) async fn get_total_csv(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    let media = accepted(request.headers(), &[CSV])?;
    read_total(&request, Query::of(&request), &store, media, None).await
}

/// The response with a total, in a media type.
async fn read_total(
    request: &HttpRequest,
    mut query: Query,
    store: &Authorized,
    media: &'static str,
    names: Option<Language>,
) -> Result<HttpResponse, Problem> {
    let parameters = TotalQuery::read(&mut query);
    let ShownIndicators { indicator: shown } = ShownIndicators::read(&mut query);
    let total = parameters.resolve(query, store.catalogue())?;
    shown
        .iter()
        .try_for_each(|code| require_indicator(&total, code))?;
    let read = store.total(&total, &shown).await?;
    let language = names.map_or("", Language::tag);
    let tag = tag(
        &total,
        &shown,
        &read,
        store.catalogue().digest(),
        &[media, language],
    );
    if is_known(request.headers(), &tag)? {
        return Ok(headed(HttpResponse::NotModified(), &tag).finish());
    }
    let body = TotalsBody::new(&total, &shown, &read, names);
    if media == JSON {
        return Ok(headed(HttpResponse::Ok(), &tag).json(body));
    }
    let csv = csv::render(&total, &body).map_err(|error| Problem::Internal(error.to_string()))?;
    let mut response = headed(HttpResponse::Ok(), &tag);
    Ok(response
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .body(csv))
}

fn is_known(headers: &HeaderMap, tag: &str) -> Result<bool, Problem> {
    Ok(Tags::if_none_match(headers)?.is_some_and(|tags| tags.match_weakly(tag)))
}

fn headed(mut response: HttpResponseBuilder, tag: &str) -> HttpResponseBuilder {
    response.insert_header((ETAG, tag));
    response.insert_header((CACHE_CONTROL, "no-store"));
    response.insert_header((VARY, "Accept"));
    response
}

/// The entity tag. It is weak, because the response contains the time of the read and the tag does not.
fn tag(
    total: &TotalRef,
    shown: &[IndicatorCode],
    read: &TotalRead,
    catalogue: &str,
    representation: &[&str],
) -> String {
    let (form, period, unit) = (&total.scope.form.code, total.scope.period, &total.unit);
    let (version, pending) = (read.version, read.freshness.pending);
    let what = format!("{form} {period} {unit} {shown:?} {version} {pending} {catalogue} {representation:?}");
    let digest = Sha256::digest(what.as_bytes());
    let short = base16ct::lower::encode_string(&digest[..12]);
    format!("W/\"{short}\"")
}
