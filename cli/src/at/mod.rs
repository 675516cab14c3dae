//! `--at URL`: a running gateway, reached by its operator endpoint.

mod token;
mod wire;

use std::net::IpAddr;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use http::{StatusCode, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollgate_core::operator::{Prefix, Resource};
use tollgate_core::secret::Secret;

use crate::failure::Failure;
use crate::terminal;
pub(crate) use token::DevToken;

/// Which gateway, and by which token.
#[derive(Debug, Args)]
pub(crate) struct AtArgs {
    /// A running gateway: the URL of its operator endpoint, such as `https://api.example.com`. A path is needed only where
    /// the endpoint does not stand below /.tollgate.
    #[arg(long, value_name = "URL")]
    pub(crate) at: Option<Uri>,
    /// A file with the token; otherwise the environment's TOLLGATE_OPERATOR_TOKEN is sent.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A PEM file of authorities that the gateway's certificate is trusted by, besides the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send the token to another machine without TLS: only where nobody can listen on the way.
    #[arg(long)]
    plain_http: bool,
}

/// A running gateway.
pub(crate) struct Gateway<'a> {
    at: Uri,
    /// Whether the command line names it.
    is_named: bool,
    prefix: String,
    token: Option<Secret>,
    ca: Option<&'a PathBuf>,
}

/// What a call sends.
pub(crate) struct Call<'c> {
    pub(crate) resource: Resource,
    /// What stands for the parameter of its path.
    pub(crate) parameter: &'c str,
    /// The parameters of its query.
    pub(crate) query: &'c [(&'c str, Option<&'c str>)],
    /// The type of the answer, `application/json` where it is not said.
    pub(crate) accept: &'static str,
    pub(crate) content: Option<Vec<u8>>,
}

impl AtArgs {
    /// The gateway that the command line names, or that of `tollgate dev`.
    ///
    /// # Errors
    /// When the URL or the token cannot be used.
    pub(crate) fn gateway(&self) -> Result<Gateway<'_>, Failure> {
        let at = self.at.clone().unwrap_or_else(|| Uri::from_static(HERE));
        let (Some("http" | "https"), Some(host)) = (at.scheme_str(), at.host()) else {
            return Err(Failure::usage("--at is a URL, as in https://api.example.com"));
        };
        if at.query().is_some() {
            return Err(Failure::usage("--at has no query"));
        }
        let token = token::find(self.token_file.as_deref(), &at)?;
        if token.is_some() && at.scheme_str() == Some("http") && !is_loopback(host) && !self.plain_http {
            return Err(Failure::usage(
                "--at http://… would send the token to another machine in clear: use https, or --plain-http on a network \
                 where nobody can listen",
            ));
        }
        let path = at.path().trim_end_matches('/');
        let prefix = if path.is_empty() { Prefix::default() } else { path.parse().map_err(Failure::usage)? };
        let prefix = prefix.as_str().to_owned();
        Ok(Gateway { at, is_named: self.at.is_some(), prefix, token, ca: self.ca.as_ref() })
    }
}

impl Gateway<'_> {
    /// Where it is, for a message.
    pub(crate) fn name(&self) -> String {
        self.at.to_string().trim_end_matches('/').to_owned()
    }

    /// Sends JSON, and reads the answer as JSON.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        resource: Resource,
        parameter: &str,
        content: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let content = content.map(serde_json::to_vec).transpose().map_err(Failure::problem)?;
        self.answer(&Call { resource, parameter, query: &[], accept: "application/json", content })
    }

    /// Sends a query without content, and reads the answer as JSON.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        resource: Resource,
        query: &[(&str, Option<&str>)],
    ) -> Result<T, Failure> {
        self.answer(&Call { resource, parameter: "", query, accept: "application/json", content: None })
    }

    fn answer<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Failure> {
        self.read(&self.call(call)?)
    }

    fn read<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(answer).map_err(|error| {
            let name = self.name();
            Failure::problem(format!(
                "{name} answered in an unknown form ({error}): is it a gateway of another version?"
            ))
        })
    }

    /// Reads a resource; `None` if there is none of this name.
    pub(crate) fn find<T: DeserializeOwned>(&self, resource: Resource, parameter: &str) -> Result<Option<T>, Failure> {
        let call = Call { resource, parameter, query: &[], accept: "application/json", content: None };
        let (status, content) = self.exchange(&call)?;
        let document: Value = serde_json::from_slice(&content).unwrap_or_default();
        if status == StatusCode::NOT_FOUND && document["type"] == "urn:tollgate:problem:resource-not-found" {
            return Ok(None);
        }
        if status.is_success() { self.read(&content).map(Some) } else { Err(self.explain(status, &content)) }
    }

    /// The content of the answer to a call that was done.
    pub(crate) fn call(&self, call: &Call<'_>) -> Result<Bytes, Failure> {
        let (status, content) = self.exchange(call)?;
        if status.is_success() { Ok(content) } else { Err(self.explain(status, &content)) }
    }

    fn exchange(&self, call: &Call<'_>) -> Result<(StatusCode, Bytes), Failure> {
        let path = format!("{}/{}", self.prefix, call.resource.path().replace("{}", call.parameter));
        let given = call.query.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped((*value)?))));
        let query = given.collect::<Vec<_>>().join("&");
        let path = if query.is_empty() { path } else { format!("{path}?{query}") };
        wire::send(self, &call.resource.method(), &path, call)
    }

    fn explain(&self, status: StatusCode, content: &[u8]) -> Failure {
        let document: Value = serde_json::from_slice(content).unwrap_or_default();
        let detail = terminal::printable(document["detail"].as_str().unwrap_or("no reason was given"));
        let is_route = document["type"] == "urn:tollgate:problem:route-not-found";
        let hint = match status {
            StatusCode::UNAUTHORIZED => {
                "\n  the token is the environment's TOLLGATE_OPERATOR_TOKEN, or in the file of --token-file"
            }
            StatusCode::NOT_FOUND if is_route => {
                "\n  the operator endpoint is off there, or stands elsewhere: see docs/operator.md"
            }
            _ => "",
        };
        Failure::problem(format!("{} answered {status}: {detail}{hint}", self.name()))
    }
}

/// A value of a query, with escapes for everything that is not unreserved (RFC 3986, section 2.3).
fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

/// The address of `tollgate dev`: the gateway of commands that name none.
const HERE: &str = "http://127.0.0.1:8080";

/// No content.
pub(crate) const NOTHING: Option<&()> = None;

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
