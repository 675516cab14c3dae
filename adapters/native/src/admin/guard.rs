//! Requests that the admin listener always refuses: those that a browser sends on behalf of a web page.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode};

use super::{Answer, problem};

pub(super) struct Guard {
    is_loopback: bool,
}

/// Why a request is always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    FromPage,
    ForeignHost,
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::FromPage => problem(StatusCode::FORBIDDEN, "requests from web pages are refused here"),
            Self::ForeignHost => problem(StatusCode::MISDIRECTED_REQUEST, "use localhost or a loopback address"),
        }
    }
}

impl Guard {
    pub(super) fn new(address: Option<SocketAddr>) -> Self {
        Self { is_loopback: address.is_none_or(|a| a.ip().is_loopback()) }
    }

    /// Refuses requests of web pages, and host names that resolve to this address (DNS rebinding).
    pub(super) fn check(&self, fields: &HeaderMap) -> Result<(), Refusal> {
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
}

fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}
