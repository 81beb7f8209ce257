//! The pages: sign-in, and why a request cannot be answered.

use std::sync::LazyLock;

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::secret::sha256;

const STYLE: &str = include_str!("pages/style.css");

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/dev/pages/askama.toml")]
struct SignIn<'a> {
    style: &'static str,
    next_host: &'a str,
    email: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "problem.html", config = "src/dev/pages/askama.toml")]
struct Problem<'a> {
    style: &'static str,
    what: &'a str,
    detail: &'a str,
}

/// Asks for an email address; again, if there is a problem with the one that was typed.
pub(super) fn sign_in_page(next_host: &str, email: &str, problem: Option<&str>) -> Response {
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page(status, &SignIn { style: STYLE, next_host, email, problem })
}

/// Says why a sign-in cannot start.
pub(super) fn problem_page(what: &str, detail: &str) -> Response {
    page(StatusCode::BAD_REQUEST, &Problem { style: STYLE, what, detail })
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    // Without `form-action`: browsers also apply it to the redirect that answers the form.
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let style = STANDARD.encode(sha256(STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
        )
    });
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match template.render() {
        Ok(html) => (status, headers, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the stand-in cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
