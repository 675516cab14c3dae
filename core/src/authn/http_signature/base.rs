//! The signature base: what is signed of a request (RFC 9421, section 2).

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::authn::MessageError;
use crate::query::decoded;
use crate::structured::{Bare, Item, Members, canonical};

/// A request as its client sent it.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// Whether the client uses `https`.
    pub https: bool,
    /// Host and port that the client addressed.
    pub authority: &'r str,
    /// The path, with its escapes as they were sent.
    pub path: &'r str,
    /// The query.
    pub query: Option<&'r str>,
    /// The fields.
    pub fields: &'r HeaderMap,
    /// The trailers, if they were read.
    pub trailers: Option<&'r HeaderMap>,
    /// Whether the platform joins the lines of a field, so that it is not known how many there were.
    pub joins_lines: bool,
}

/// Whether a component is one of requests, with the parameters that belong to it.
pub(super) fn is_known(item: &Item) -> bool {
    let Bare::String(name) = &item.value else { return false };
    let parameters = &item.parameters;
    if name == QUERY_PARAM {
        // A name in another encoding would never be found.
        let is_encoded = |name: &str| encoded(&decoded(name)) == name;
        return parameters.0.len() == 1 && parameters.text("name").is_some_and(is_encoded);
    }
    if name.starts_with('@') {
        return DERIVED.contains(&name.as_str()) && parameters.0.is_empty();
    }
    let is_form = |(name, value): &(String, Bare)| match name.as_str() {
        "sf" | "bs" | "tr" => *value == Bare::Boolean(true),
        "key" => matches!(value, Bare::String(_)),
        // `req` is for responses (section 2.4).
        _ => false,
    };
    let has = |name| parameters.get(name).is_some();
    let is_one_form = !(has("bs") && (has("sf") || has("key")));
    HeaderName::from_lowercase(name.as_bytes()).is_ok() && parameters.0.iter().all(is_form) && is_one_form
}

const QUERY_PARAM: &str = "@query-param";

/// Components that are derived from the control data of a request; `@status` is one of responses.
const DERIVED: [&str; 7] = ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];

impl SignedRequest<'_> {
    /// Writes the value of a component that is known; returns how many bytes were parsed or encoded for it.
    ///
    /// # Errors
    /// If the request does not have it, or has it several times where it may be there once.
    pub(super) fn write(&self, item: &Item, out: &mut String) -> Result<usize, MessageError> {
        let Bare::String(name) = &item.value else { return Err(MessageError::Component) };
        if !name.starts_with('@') {
            return self.write_field(name, item, out);
        }
        let host = self.host();
        let scheme = if self.https { "https" } else { "http" };
        // That of `OPTIONS *` has no path.
        let path = if matches!(self.path, "" | "*") { "/" } else { self.path };
        let target = if self.path.is_empty() { path } else { self.path };
        let (mark, query) = self.query.map_or(("", ""), |query| ("?", query));
        let parts: &[&str] = match name.as_str() {
            "@method" => &[self.method],
            "@target-uri" => &[scheme, "://", &host, path, mark, query],
            "@authority" => &[&host],
            "@scheme" => &[scheme],
            "@request-target" => &[target, mark, query],
            "@path" => &[path],
            "@query" => &["?", query],
            _ => return self.write_query_parameter(item, out).map(|()| query.len()),
        };
        parts.iter().for_each(|part| out.push_str(part));
        Ok(0)
    }

    /// Host and port in the normal form: in lower case, without the default port (section 2.2.3).
    fn host(&self) -> String {
        let mut host = self.authority.to_ascii_lowercase();
        let default = if self.https { ":443" } else { ":80" };
        if host.ends_with(default) {
            host.truncate(host.len() - default.len());
        }
        host
    }

    /// The one parameter of this name, in the encoding of section 2.2.8.
    fn write_query_parameter(&self, item: &Item, out: &mut String) -> Result<(), MessageError> {
        let name = item.parameters.text("name").ok_or(MessageError::Component)?;
        let mut found = None;
        for pair in self.query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
            if encoded(&decoded(own)) == *name && found.replace(value).is_some() {
                return Err(MessageError::Component);
            }
        }
        let value = found.ok_or(MessageError::Component)?;
        out.push_str(&encoded(&decoded(value)));
        Ok(())
    }

    fn write_field(&self, name: &str, item: &Item, out: &mut String) -> Result<usize, MessageError> {
        let parameter = |name| item.parameters.get(name);
        let of = if parameter("tr").is_some() { self.trailers } else { Some(self.fields) };
        let lines: Vec<&HeaderValue> = of.map(|of| of.get_all(name).iter().collect()).unwrap_or_default();
        if lines.is_empty() {
            return Err(MessageError::Component);
        }
        if parameter("bs").is_some() {
            return self.write_bytes(&lines, out);
        }
        let value = joined(&lines).ok_or(MessageError::Component)?;
        if let Some(Bare::String(key)) = parameter("key") {
            let members = Members::dictionary(&value).map_err(|_| MessageError::Component)?;
            members.get(key).ok_or(MessageError::Component)?.write(out);
        } else if parameter("sf").is_some() {
            out.push_str(&canonical(&value).map_err(|_| MessageError::Component)?);
        } else {
            out.push_str(&value);
            return Ok(0);
        }
        Ok(value.len())
    }

    /// Each line as bytes (section 2.1.3). A comma may be one with which the platform has joined two of them, and a byte that is
    /// not ASCII one that it has replaced.
    fn write_bytes(&self, lines: &[&HeaderValue], out: &mut String) -> Result<usize, MessageError> {
        let mut bytes = 0;
        for (at, line) in lines.iter().enumerate() {
            let line = line.as_bytes().trim_ascii();
            if self.joins_lines && (line.contains(&b',') || !line.is_ascii()) {
                return Err(MessageError::Joined);
            }
            out.push_str(if at == 0 { ":" } else { ", :" });
            out.push_str(&Base64::encode_string(line));
            out.push(':');
            bytes += line.len();
        }
        Ok(bytes)
    }
}

/// The lines of a field as one value, if it is there.
///
/// # Errors
/// If it is no text in ASCII: a signature base has no other (section 2.5).
pub(super) fn combined<'f>(fields: &'f HeaderMap, name: &str) -> Result<Option<Cow<'f, str>>, MessageError> {
    let lines: Vec<&HeaderValue> = fields.get_all(name).iter().collect();
    if lines.is_empty() { Ok(None) } else { joined(&lines).map(Some).ok_or(MessageError::Form) }
}

/// The lines with a comma between them (section 2.1); `None` if one of them is no text in ASCII.
fn joined<'l>(lines: &[&'l HeaderValue]) -> Option<Cow<'l, str>> {
    let text = |line: &'l HeaderValue| line.to_str().ok().map(|line| line.trim_matches([' ', '\t']));
    if let [one] = lines {
        return text(one).map(Cow::Borrowed);
    }
    let mut all = String::new();
    for (at, line) in lines.iter().enumerate() {
        all.push_str(if at == 0 { "" } else { ", " });
        all.push_str(text(line)?);
    }
    Some(Cow::Owned(all))
}

/// A name or a value of a query in the `application/x-www-form-urlencoded` percent-encode set, and a space as `%20`.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    // What is not UTF-8 is replaced, as parsers of URLs do.
    for byte in String::from_utf8_lossy(bytes).bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(UPPER_DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(UPPER_DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

const UPPER_DIGITS: &[u8; 16] = b"0123456789ABCDEF";
