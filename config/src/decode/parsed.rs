//! Decodes single values with core's parsers, and reports values that core refuses.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use http::{HeaderName, HeaderValue, Method};
use tollgate_core::forward::UpstreamUrl;
use tollgate_core::guard::{Cidr, CidrError};
use tollgate_core::operator::SECRET_PREFIX;
use tollgate_core::route::{HostName, HostPattern, PathTemplate, Segment};
use tollgate_core::secret::{Piece, SecretText};

use super::habits::{self, path::Foreign};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};

/// Parses the URL of an upstream.
pub(crate) fn url(text: &Spanned<String>, report: &mut Report) -> Option<UpstreamUrl> {
    let read = usable_url(&text.value);
    if let Err(what) = &read {
        report.push(
            Diagnostic::error(Code::BadUrl, text.span, format!("the URL is not valid: {what}"))
                .why("the gateway sends requests to this URL")
                .fix(habits::url::fix(&text.value)),
        );
    } else if let Some(part) = habits::url::variable(&text.value) {
        report.push(
            Diagnostic::warning(Code::BadUrl, text.span, format!("`{part}` is sent as it is written"))
                .why("the path of the request follows the URL of the upstream, and nothing in it is replaced")
                .fix(habits::url::fix(&text.value)),
        );
    }
    read.ok()
}

/// Parses a URL to which requests can be sent.
///
/// # Errors
/// What is wrong with it.
pub fn usable_url(text: &str) -> Result<UpstreamUrl, String> {
    let url = text.parse::<UpstreamUrl>().map_err(|error| habits::url::reason(text, error))?;
    let host = HostName::from_authority(url.authority()).map_err(|error| error.to_string())?;
    if url.port() == Some(0) {
        return Err("no server can be called at port 0".to_owned());
    }
    if is_broken_address(host.as_str()) {
        return Err(format!("`{host}` is not an IPv4 address, which has four numbers from 0 to 255"));
    }
    if let Some(part) = habits::url::parameter(text) {
        return Err(format!("`{part}` has no meaning in it, because the path of the request follows it"));
    }
    Ok(url)
}

/// Whether a host is read as an IPv4 address, because its last label is a number, but is none (WHATWG URL, section 3.5).
pub(super) fn is_broken_address(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").unwrap_or(last);
    let is_number = if digits.len() < last.len() {
        digits.bytes().all(|b| b.is_ascii_hexdigit())
    } else {
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    is_number && host.parse::<Ipv4Addr>().is_err()
}

/// Parses the URL of an OTLP/HTTP receiver, to which the paths of signals are added.
pub(crate) fn otlp_endpoint(text: &Spanned<String>, report: &mut Report) -> Option<UpstreamUrl> {
    if let Some(fix) = habits::url::otlp_fix(&text.value) {
        report.push(
            Diagnostic::error(Code::BadUrl, text.span, "the URL is not that of a receiver of OTLP/HTTP")
                .why("telemetry is exported with OTLP/HTTP, whose usual port is 4318; `/v1/traces`, `/v1/metrics` and `/v1/logs` are added to the endpoint")
                .fix(fix),
        );
        return None;
    }
    let url = url(text, report)?;
    if url.port() == Some(OTLP_GRPC_PORT) {
        report.push(
            Diagnostic::warning(Code::BadUrl, text.span, "port 4317 is that of OTLP/gRPC")
                .why("telemetry is exported with OTLP/HTTP, for which receivers have port 4318")
                .fix(format!("write `{}`", url.to_string().replacen(":4317", ":4318", 1))),
        );
    }
    Some(url)
}

/// The registered port of OTLP/gRPC.
const OTLP_GRPC_PORT: u16 = 4317;

/// Parses a list of unique host patterns.
pub(crate) fn hosts(list: &[Spanned<String>], report: &mut Report) -> Vec<Spanned<HostPattern>> {
    let mut all: Vec<Spanned<HostPattern>> = Vec::new();
    let mut seen: HashMap<HostPattern, Span> = HashMap::new();
    for text in list {
        let unmeant = habits::host::unmeant(&text.value);
        match text.value.parse::<HostPattern>() {
            Ok(_) if unmeant.is_some() => report.push(
                Diagnostic::error(Code::BadHost, text.span, format!("`{}` is not a host of requests", text.value))
                    .why(unmeant.unwrap_or_default())
                    .fix(habits::host::fix(&text.value)),
            ),
            Ok(pattern) => match seen.get(&pattern) {
                Some(first) => report.push(
                    Diagnostic::error(Code::Repeated, text.span, format!("`{pattern}` is listed twice"))
                        .why("the case of letters and a dot at the end make no difference in a host")
                        .fix("remove one of them")
                        .related(*first, "first listed here"),
                ),
                None => {
                    seen.insert(pattern.clone(), text.span);
                    all.push(Spanned::new(pattern, text.span));
                }
            },
            Err(error) => report.push(
                Diagnostic::error(Code::BadHost, text.span, format!("`{}` is not a valid host: {error}", text.value))
                    .why("requests are matched by their host")
                    .fix(habits::host::fix(&text.value)),
            ),
        }
    }
    all
}

/// Reports a path that is written as in another router; returns whether there is one. Paths of specifications are routed as
/// they are written.
pub(crate) fn report_foreign(text: &Spanned<String>, is_operation: bool, report: &mut Report) -> bool {
    let Some(Foreign { part, fix }) = habits::path::foreign(&text.value) else { return false };
    let what = format!("`{part}` in `{}` is the syntax of another router", text.value);
    let diagnostic = if is_operation {
        Diagnostic::warning(Code::ForeignPath, text.span, what)
    } else {
        Diagnostic::error(Code::ForeignPath, text.span, what)
    };
    let why = "here only `{...}` is a parameter: other characters match only themselves";
    report.push(diagnostic.why(why).fix(fix));
    true
}

/// Reports a path with a blank at one of its ends; returns whether there is one.
pub(crate) fn report_blank(text: &Spanned<String>, report: &mut Report) -> bool {
    let has_blank = text.value.trim() != text.value;
    if has_blank {
        bad_path(text, "it ends with a blank", report);
    }
    has_blank
}

/// Parses a path template.
pub(crate) fn template(text: &Spanned<String>, report: &mut Report) -> Option<PathTemplate> {
    match text.value.parse() {
        Ok(_) if has_query(&text.value) => {
            bad_path(text, NO_QUERY, report);
            None
        }
        Ok(template) => Some(template),
        Err(error) => {
            bad_path(text, &format!("{error}"), report);
            None
        }
    }
}

/// Whether a template has a `?` or `#` outside of its parameters: the path of a request contains them only as `%3F` or
/// `%23`.
fn has_query(template: &str) -> bool {
    let outside = template.split('{').enumerate().map(|(place, piece)| match piece.split_once('}') {
        Some((_, outside)) if place > 0 => outside,
        _ => piece,
    });
    outside.into_iter().any(|piece| piece.contains(['?', '#']))
}

const NO_QUERY: &str = "a path contains no `?` or `#`; use `when` for query parameters";

/// Parses a path template without reporting mistakes, because they are reported elsewhere.
pub(crate) fn template_unreported(text: &str) -> Option<PathTemplate> {
    text.parse().ok()
}

/// Parses the base of an API: a path without parameters. Returns it with the number of its segments.
pub(crate) fn base(text: &Spanned<String>, report: &mut Report) -> Option<(String, usize)> {
    if let Some(prefix) = text.value.strip_suffix("/*").or_else(|| text.value.strip_suffix("/**")) {
        let fix = format!(
            "write `{}`: a base is a prefix, and routes below it are listed in `routes`",
            if prefix.is_empty() { "/" } else { prefix }
        );
        let what = format!("`{}` is the syntax of another router", text.value);
        let why = "the paths of all routes of the API begin with the base";
        report.push(Diagnostic::error(Code::ForeignPath, text.span, what).why(why).fix(fix));
        return None;
    }
    if let Some(Foreign { part, .. }) = habits::path::foreign(&text.value) {
        let what = format!("`{part}` in `{}` is the syntax of another router", text.value);
        let why = "a base is a prefix without parameters, and the paths of all routes of the API begin with it";
        let fix = habits::path::base_fix(&text.value);
        report.push(Diagnostic::error(Code::ForeignPath, text.span, what).why(why).fix(fix));
        return None;
    }
    let trimmed = text.value.strip_suffix('/').unwrap_or(&text.value);
    if trimmed.is_empty() && !text.value.is_empty() {
        return Some((String::new(), 0));
    }
    match trimmed.parse::<PathTemplate>() {
        Ok(_) if has_query(trimmed) => {
            bad_path(text, NO_QUERY, report);
            None
        }
        Ok(_) if trimmed.trim() != trimmed => {
            bad_path(text, "it ends with a blank", report);
            None
        }
        Ok(path) if path.segments().iter().all(|segment| matches!(segment, Segment::Literal(_))) => {
            Some((trimmed.to_owned(), path.segments().len()))
        }
        Ok(_) => {
            let what = format!("`{}` is not a valid path: a base must not have parameters", text.value);
            report.push(
                Diagnostic::error(Code::BadPath, text.span, what)
                    .why("a base is a prefix, and the paths of all routes of the API begin with it")
                    .fix(habits::path::base_fix(&text.value)),
            );
            None
        }
        Err(error) => {
            bad_path(text, &format!("{error}"), report);
            None
        }
    }
}

pub(crate) fn bad_path(text: &Spanned<String>, what: &str, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::BadPath, text.span, format!("`{}` is not a valid path: {what}", text.value))
            .why("no request could match this route")
            .fix(habits::bad_path::fix(&text.value)),
    );
}

/// Reports an operation of a specification that is not routed.
pub(crate) fn not_routed(text: &Spanned<String>, what: &str, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NotRouted, text.span, format!("`{}` is not routed: {what}", text.value))
            .why("its requests are answered with 404, or by another route that matches them; the other operations are routed")
            .fix("shorten the `base` of the API"),
    );
}

/// Parses the methods of a route, sorted.
pub(crate) fn methods(list: &[Spanned<String>], report: &mut Report) -> Vec<String> {
    let mut all: Vec<String> = list.iter().filter_map(|text| method(text, report)).collect();
    all.sort_unstable();
    all
}

fn method(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let upper = text.value.to_ascii_uppercase();
    let fix = match Method::from_bytes(text.value.as_bytes()) {
        _ if ["*", "ANY", "ALL", "_ALL_"].contains(&upper.as_str()) => {
            "remove `methods`: a route without it matches all methods".to_owned()
        }
        _ if text.value.contains([',', '|', ' ']) => {
            let methods: Vec<&str> = upper.split([',', '|', ' ']).filter(|method| !method.is_empty()).collect();
            format!("write each method as an item of the list: `[{}]`", methods.join(", "))
        }
        Ok(Method::CONNECT | Method::TRACE) => "remove it: `CONNECT` and `TRACE` are never routed".to_owned(),
        Ok(_) if text.value == upper => {
            warn_unusual_method(text, report);
            return Some(upper);
        }
        Ok(_) => format!("write `{upper}`: methods are case-sensitive"),
        Err(_) => "write a method such as `GET`".to_owned(),
    };
    report.push(
        Diagnostic::error(Code::BadMethod, text.span, format!("`{}` is not a valid method for a route", text.value))
            .why("no request with this method would be routed")
            .fix(fix),
    );
    None
}

/// Reports a method that is probably a usual one with a mistake in it; other methods can be routed.
fn warn_unusual_method(text: &Spanned<String>, report: &mut Report) {
    let Some(meant) = habits::word::method(&text.value) else { return };
    report.push(
        Diagnostic::warning(Code::BadMethod, text.span, format!("`{}` is no registered method", text.value))
            .why("only requests with exactly this method would be routed")
            .fix(format!("did you mean `{meant}`?")),
    );
}

/// Parses the name of a field that is read or set; returns it in lowercase letters.
pub(crate) fn field_name(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let problem = match HeaderName::from_bytes(text.value.as_bytes()) {
        Ok(name) if is_reserved(&name) => "this field belongs to one connection, or the gateway sets it",
        Ok(name) => {
            warn_unmeant_field(text, report);
            return Some(name.as_str().to_owned());
        }
        Err(_) => "the name of a field consists of letters, digits and hyphens",
    };
    report.push(
        Diagnostic::error(Code::BadField, text.span, format!("`{}` cannot be used as a header field", text.value))
            .why(problem)
            .fix(habits::field::fix(&text.value)),
    );
    None
}

/// Reports the name of a field that was probably meant as a variable or a pattern.
fn warn_unmeant_field(text: &Spanned<String>, report: &mut Report) {
    let Some(fix) = habits::field::unmeant(&text.value) else { return };
    report.push(
        Diagnostic::warning(Code::BadField, text.span, format!("`{}` is the name as it is written", text.value))
            .why("names of fields are compared as a whole, and no client sends a field of this name")
            .fix(fix),
    );
}

/// Whether a policy can read a field of this name.
#[must_use]
pub fn can_be_field(name: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !is_reserved(&name))
}

fn is_reserved(name: &HeaderName) -> bool {
    RESERVED_FIELDS.contains(&name.as_str())
}

/// Parses a token, such as the scheme before a credential.
pub(crate) fn token(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    // Field names are tokens too (RFC 9110, section 5.6.2).
    if HeaderName::from_bytes(text.value.as_bytes()).is_ok() {
        return Some(text.value.clone());
    }
    report.push(
        Diagnostic::error(Code::BadField, text.span, format!("`{}` is not a valid scheme", text.value))
            .why("a scheme is one word, such as `Bearer`, followed by a space and the key")
            .fix("write one word of letters, digits and hyphens"),
    );
    None
}

/// Parses the scheme before an API key.
pub(crate) fn key_scheme(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let scheme = token(text, report)?;
    if let Some((why, fix)) = habits::word::scheme(&scheme) {
        let what = format!("API keys after `{scheme}` are not usual");
        report.push(Diagnostic::warning(Code::BadField, text.span, what).why(why).fix(fix));
    }
    Some(scheme)
}

/// Parses the name of a request field that is only compared; returns it in lowercase letters.
pub(crate) fn compared_field(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    if text.value == "*" {
        report.push(
            Diagnostic::error(Code::BadField, text.span, "`*` is not the name of a header field")
                .why("a key of all fields would be different for each request, so nothing would be found")
                .fix("list the fields by which responses differ, such as `Accept-Language`"),
        );
        return None;
    }
    let name = HeaderName::from_bytes(text.value.as_bytes()).ok().map(|name| name.as_str().to_owned());
    if name.is_some() {
        warn_unmeant_field(text, report);
    } else {
        report.push(
            Diagnostic::error(
                Code::BadField,
                text.span,
                format!("`{}` is not a valid name of a header field", text.value),
            )
            .why("the name of a field consists of letters, digits and hyphens")
            .fix("write a name such as `Accept-Language`"),
        );
    }
    name
}

/// Parses a scope (RFC 6749, section 3.3).
pub(crate) fn scope(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let valid = can_be_scope(&text.value);
    if valid && habits::value::is_scope_pattern(&text.value) {
        report.push(
            Diagnostic::warning(
                Code::PatternScope,
                text.span,
                format!("`{}` is the scope as it is written", text.value),
            )
            .why("scopes are compared as a whole, and all scopes of a route are required")
            .fix("list each scope, such as `[pets.read, pets.write]`"),
        );
    }
    if !valid {
        report.push(
            Diagnostic::error(Code::BadName, text.span, format!("`{}` is not a valid scope", text.value))
                .why("a scope is one word without spaces, because lists of scopes are separated by spaces")
                .fix("write a word such as `pets.read`"),
        );
    }
    valid.then(|| text.value.clone())
}

/// Whether a text is a scope (RFC 6749, section 3.3).
#[must_use]
pub fn can_be_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

/// Parses header fields that are set; their values may contain secret references.
pub(crate) fn fields(list: &[(Spanned<String>, Spanned<String>)], report: &mut Report) -> Vec<(String, SecretText)> {
    let mut all: Vec<(String, SecretText)> = Vec::new();
    for (name, value) in list {
        let (Some(field), Some(text)) = (field_name(name, report), secret_text(value, report)) else { continue };
        if value.value.trim().is_empty() {
            report.push(
                Diagnostic::warning(Code::BadField, value.span, format!("`{field}` is sent with an empty value"))
                    .why("an empty value does not remove the field, as it does in nginx")
                    .fix("write a value, or remove the entry"),
            );
        }
        if all.iter().any(|(known, _)| *known == field) {
            report.push(
                Diagnostic::error(Code::Repeated, name.span, format!("the field `{field}` is set twice"))
                    .why("the case of letters makes no difference in the name of a field")
                    .fix("remove one of them"),
            );
            continue;
        }
        all.push((field, text));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Parses header fields that are set on exports of telemetry.
pub(crate) fn export_fields(
    list: &[(Spanned<String>, Spanned<String>)],
    report: &mut Report,
) -> Vec<(String, SecretText)> {
    let describes_content = |name: &str| CONTENT_FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name));
    for (name, _) in list.iter().filter(|(name, _)| describes_content(&name.value)) {
        report.push(
            Diagnostic::error(Code::BadField, name.span, format!("`{}` cannot be set on exports", name.value))
                .why("the content of an export is JSON without a coding, and its field says so")
                .fix("remove it"),
        );
    }
    let mut kept = list.to_vec();
    kept.retain(|(name, _)| !describes_content(&name.value));
    fields(&kept, report)
}

/// Fields that describe the content, which the gateway writes.
const CONTENT_FIELDS: &[&str] = &["content-type", "content-encoding"];

fn secret_text(value: &Spanned<String>, report: &mut Report) -> Option<SecretText> {
    let Some(text) = SecretText::parse(&value.value) else {
        report.push(
            Diagnostic::error(Code::BadSecretReference, value.span, "the secret reference is not valid")
                .why("`${` begins a reference, and `${secret.NAME}` is the only form")
                .fix("write `${secret.NAME}`, where NAME has uppercase letters, digits and `_`"),
        );
        return None;
    };
    if let Some(name) = text.secret_names().find(|name| name.starts_with(SECRET_PREFIX)) {
        report.push(
            Diagnostic::error(Code::BadField, value.span, format!("a project cannot use the secret `{name}`"))
            .why("it binds tokens of the operator endpoint, which belong to no upstream; at run time it has no value")
            .fix("give the upstream's credential a secret of its own"),
        );
        return None;
    }
    let printable = |piece: &Piece| match piece {
        Piece::Text(text) => HeaderValue::from_str(text).is_ok(),
        Piece::Secret(_) => true,
    };
    warn_unresolved(value, report);
    if !text.pieces.iter().all(printable) {
        report.push(
            Diagnostic::error(Code::BadField, value.span, "the value of the header field is not valid")
                .why("the value of a field is one line of printable characters")
                .fix("remove line breaks and control characters"),
        );
        return None;
    }
    Some(text)
}

/// Reports what other formats replace by a value, and is sent as it is written here.
fn warn_unresolved(value: &Spanned<String>, report: &mut Report) {
    let Some(found) = habits::value::unresolved(&value.value) else { return };
    report.push(
        Diagnostic::warning(Code::BadSecretReference, value.span, format!("`{found}` is sent as it is written"))
            .why("`${secret.NAME}` is the only reference in the value of a field; variables of requests and of the environment are not replaced")
            .fix("write `${secret.NAME}`, or `${value.NAME}` as the whole value"),
    );
}

/// Parses the name of a query parameter.
pub(crate) fn parameter_name(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let valid = can_be_parameter(&text.value) && text.value != "*";
    if !valid {
        report.push(
            Diagnostic::error(
                Code::BadQueryParameter,
                text.span,
                format!("`{}` is not a valid name of a query parameter", text.value),
            )
            .why("names are compared with the query as the client sends it, without decoding")
            .fix(match text.value.as_str() {
                "*" => "remove the key if all parameters are meant, or list them",
                name if habits::value::pattern(name).is_some() => {
                    "write the whole name of one parameter: it is no pattern"
                }
                _ => "use letters, digits, `-`, `.`, `_` and `~`",
            }),
        );
    }
    valid.then(|| text.value.clone())
}

/// Parses the name of a query parameter in a cache key, which is no pattern.
pub(crate) fn key_parameter(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let name = parameter_name(text, report)?;
    if name.contains('*') || name.starts_with('!') {
        report.push(
            Diagnostic::warning(Code::BadQueryParameter, text.span, format!("`{name}` is not read as a pattern"))
                .why("names are compared as a whole, and parameters that are not listed are neither in the key nor forwarded")
                .fix("list the parameters that the upstream needs, or remove the key: then the whole query is in the key and is forwarded"),
        );
    }
    Some(name)
}

/// Whether a policy can read a query parameter of this name.
#[must_use]
pub fn can_be_parameter(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~[]$:@!*'()".contains(&b))
}

/// Fields that belong to one connection, or that the gateway sets.
const RESERVED_FIELDS: &[&str] = &[
    "connection",
    "content-length",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Parses a network in CIDR notation.
pub(crate) fn network(text: &Spanned<String>, report: &mut Report) -> Option<Cidr> {
    if let Some(all) = habits::network::everywhere(&text.value) {
        report.push(
            Diagnostic::error(Code::BadNetwork, text.span, format!("`{}` is not the address of a client", text.value))
                .why("without a prefix it would match only this address, which no client has")
                .fix(format!("write `{all}` for all addresses")),
        );
        return None;
    }
    let read = text.value.parse::<Cidr>();
    if let Err(error) = &read {
        let fix = match error {
            CidrError::HostBits(network) => format!("write `{network}`, or the address without a prefix"),
            CidrError::Mapped => "write the IPv4 network, such as `10.0.0.0/8`".to_owned(),
            CidrError::Address | CidrError::Prefix => habits::network::fix(&text.value)
                .unwrap_or_else(|| "write a network such as `10.0.0.0/8` or `2001:db8::/32`".to_owned()),
        };
        report.push(
            Diagnostic::error(Code::BadNetwork, text.span, format!("`{}` is not a valid network: {error}", text.value))
                .why("the set of addresses must be unambiguous")
                .fix(fix),
        );
    }
    read.ok()
}
