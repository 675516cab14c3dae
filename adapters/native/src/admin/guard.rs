//! Who may ask at the admin listener: no page in an operator's browser, and with a token only who has it.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tollgate_core::secret::Secret;

use super::{Answer, problem};

pub(super) struct Guard {
    is_loopback: bool,
    token: Option<Secret>,
}

/// Why a request is refused whatever it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    FromPage,
    ForeignHost,
    NoToken,
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::FromPage => problem(StatusCode::FORBIDDEN, "requests from web pages are refused here"),
            Self::ForeignHost => problem(StatusCode::MISDIRECTED_REQUEST, "ask for localhost or a loopback address"),
            Self::NoToken => {
                let detail = "the admin listener's bearer token is needed";
                let mut answer = problem(StatusCode::UNAUTHORIZED, detail);
                let scheme = HeaderValue::from_static("Bearer");
                answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
                answer
            }
        }
    }
}

impl Guard {
    pub(super) fn new(address: Option<SocketAddr>, token: Option<Secret>) -> Self {
        let is_loopback = address.is_none_or(|a| a.ip().is_loopback());
        Self { is_loopback, token }
    }

    /// Refuses what a browser sends on behalf of a page, and names that lead here by rebinding.
    pub(super) fn check_origin(&self, fields: &HeaderMap) -> Result<(), Refusal> {
        let from_page = fields.contains_key(ORIGIN) || fields.get("sec-fetch-site").is_some_and(|site| site != "none");
        if from_page {
            return Err(Refusal::FromPage);
        }
        let host = fields.get(HOST).and_then(|host| host.to_str().ok());
        if self.is_loopback && !host.is_some_and(is_loopback_name) {
            return Err(Refusal::ForeignHost);
        }
        Ok(())
    }

    pub(super) fn check_token(&self, fields: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let presented = fields.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match presented {
            Some(presented) if equal(presented, token.expose().as_bytes()) => Ok(()),
            Some(_) | None => Err(Refusal::NoToken),
        }
    }
}

fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// Compares in a time that depends on the lengths alone.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
