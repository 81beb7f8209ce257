//! Answers only requests for a loopback name: a page on the web whose name was made to point here must get nothing
//! (DNS rebinding).

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Refuses a request whose `Host` is not a loopback name.
pub(super) async fn admit(request: Request, next: Next) -> Response {
    if is_for_loopback(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "The stand-in answers on loopback only.\n").into_response()
    }
}

fn is_for_loopback(headers: &HeaderMap) -> bool {
    let authority: Option<Authority> = headers.get(HOST).and_then(|host| host.as_bytes().try_into().ok());
    authority.is_some_and(|authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_loopback_hosts_are_admitted() {
        let rows = [
            ("localhost:8001", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8001", true),
            ("127.1.2.3", true),
            ("[::1]:8001", true),
            ("example.com", false),
            ("localhost.example.com", false),
            ("10.0.0.1:8001", false),
            ("", false),
        ];
        for (host, expected) in rows {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(is_for_loopback(&headers), expected, "{host}");
        }
        assert!(!is_for_loopback(&HeaderMap::new()));
    }
}
