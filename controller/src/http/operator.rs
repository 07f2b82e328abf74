//! Whether a call is the operator's: by the operator's token or, where none is set, by coming from this machine itself.
//!
//! A browser or a proxy on this machine also calls from it, for others. So without a token a call counts only if it names
//! this machine by a loopback address or `localhost`: a page whose own name was made to resolve to this machine (DNS
//! rebinding) sends that name. No page of another origin counts, and nothing that says it was forwarded. A proxy that
//! hides all of that can't be told apart: behind one, set a token.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::error::ApiError;
use crate::{
    codes,
    operators::{self, Actor},
};

/// What proxies say of themselves.
const FORWARDED: [HeaderName; 4] =
    [header::FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip"), header::VIA];

/// Lets the operator pass, and says which one it is. `tokens` is as [`operators`] has it.
///
/// # Errors
/// The call is not the operator's.
pub fn authorize(tokens: Option<&str>, from: SocketAddr, headers: &HeaderMap) -> Result<Actor, ApiError> {
    let actor = match tokens {
        Some(tokens) => {
            let given = only(headers, &header::AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer "));
            given.and_then(|given| operators::who(tokens, given))
        }
        None => {
            let here = from.ip().is_loopback() && meant_for_this_machine(headers);
            here.then(|| Actor { name: operators::LOCAL.to_owned() })
        }
    };
    actor.ok_or_else(|| ApiError::new(StatusCode::UNAUTHORIZED, codes::NOT_OPERATOR, "the call is not the operator's"))
}

fn meant_for_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = only(headers, &header::HOST) else { return false };
    let own_page = !headers.contains_key(header::ORIGIN)
        || only(headers, &header::ORIGIN)
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, authority)| authority == host);
    own_page && names_loopback(host) && !FORWARDED.iter().any(|name| headers.contains_key(name))
}

/// A header that is there once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    first.to_str().ok()
}

/// Whether a `Host` is `localhost` or a loopback address as such, with or without a port.
fn names_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The last colon of an address in brackets is within it.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (host, None),
    };
    if port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()) || port.parse::<u16>().is_err()) {
        return false;
    }
    let address: Option<IpAddr> = match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => name.parse().ok().map(IpAddr::V4),
    };
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn passes(token: Option<&str>, from: &str, pairs: &[(&str, &str)]) -> bool {
        authorize(token, from.parse().unwrap(), &headers(pairs)).is_ok()
    }

    #[test]
    fn only_this_machine_by_its_own_names_passes_without_a_token() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("rebound.example:8080", false),
            ("localhost.example:8080", false),
            ("127.0.0.1.example", false),
            ("evil@localhost", false),
            ("localhost:", false),
            ("localhost:80:80", false),
            ("localhost:+80", false),
            ("localhost:99999", false),
            ("[localhost]", false),
            ("[127.0.0.1]", false),
            ("::1", false),
            ("10.0.0.1:8080", false),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("", false),
        ] {
            assert_eq!(names_loopback(host), expected, "{host:?}");
            assert_eq!(passes(None, "127.0.0.1:4000", &[("host", host)]), expected, "{host:?}");
            // What a page sends whose name was made to resolve to this machine: its own name, twice the same.
            let origin = format!("http://{host}");
            assert_eq!(passes(None, "127.0.0.1:4000", &[("host", host), ("origin", &origin)]), expected, "{host:?}");
            assert!(!passes(None, "10.0.0.9:4000", &[("host", host)]), "{host:?}");
        }
        assert!(!passes(None, "127.0.0.1:4000", &[]));
        assert!(!passes(None, "127.0.0.1:4000", &[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn nothing_forwarded_and_no_page_of_another_origin_passes_without_a_token() {
        for also in [
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", ""),
            ("x-real-ip", "127.0.0.1"),
            ("via", "1.1 proxy"),
            ("origin", "null"),
            ("origin", "https://example.net"),
            ("origin", "http://localhost:8081"),
        ] {
            assert!(!passes(None, "[::1]:4000", &[("host", "localhost:8080"), also]), "{also:?}");
        }
    }

    #[test]
    fn with_a_token_only_it_counts_from_wherever() {
        let bearer = ("authorization", "Bearer secret");
        let proxied = [("host", "controller.example"), ("x-forwarded-for", "192.0.2.1"), bearer];
        assert!(passes(Some("secret"), "10.0.0.9:4000", &proxied));
        assert!(!passes(Some("secret"), "127.0.0.1:4000", &[("host", "localhost")]));
        assert!(!passes(Some("secret"), "127.0.0.1:4000", &[("authorization", "Bearer secreu")]));
        assert!(!passes(Some("secret"), "127.0.0.1:4000", &[bearer, bearer]));
    }
}
