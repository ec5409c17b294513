//! The cost of HTTP alone: a handler that parses a submission and discards it.

use std::net::SocketAddr;
use std::process::ExitCode;

use actix_web::web::{Bytes, post};
use actix_web::{App, HttpResponse, HttpServer};
use serde::Deserialize;
use serde_json::{Value, json};

/// The part of a submission that any service has to parse.
#[derive(Debug, Deserialize)]
struct Submission {
    form: String,
    period: String,
    unit: String,
    figures: Vec<Figure>,
}

#[derive(Debug, Deserialize)]
struct Figure {
    indicator: String,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    items: Vec<String>,
    #[serde(default)]
    text: Option<String>,
}

/// Serves until the process is stopped.
pub(crate) fn serve(listen: SocketAddr) -> ExitCode {
    let served = actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(|| App::new().route("/v1/submissions", post().to(create)));
        server.bind(listen)?.run().await
    });
    if served.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn create(body: Bytes) -> HttpResponse {
    let Ok(submission) = serde_json::from_slice::<Submission>(&body) else {
        return HttpResponse::UnprocessableEntity().finish();
    };
    // Every field is used, so that the compiler cannot remove the parsing.
    let given = |figure: &Figure| {
        !figure.indicator.is_empty()
            && (figure.value.is_some() || figure.text.is_some() || !figure.items.is_empty())
    };
    let count = submission.figures.iter().filter(|figure| given(figure)).count();
    let Submission {
        form, period, unit, ..
    } = submission;
    HttpResponse::Created().json(json!({ "form": form, "period": period, "unit": unit, "figures": count }))
}
