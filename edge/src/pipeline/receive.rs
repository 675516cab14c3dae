//! receive: the request is parsed once, strictly; ambiguous or too large requests are refused.

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Request, Uri};
use tollgate_core::bounds::{FIELD_BYTES_MAX, FIELD_LINES_MAX, TARGET_BYTES_MAX};
use tollgate_core::event::{Local, Phase, Reason};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::route::{CanonicalPath, HostName, PathError};

use super::Client;
use super::exchange::{Journal, Received};

pub(super) fn receive<C>(request: Request<C>, client: Client, journal: &mut Journal) -> Result<(Received, C), Problem> {
    let (parts, content) = request.into_parts();
    let taken = parse(parts, client);
    taken.map(|received| (received, content)).map_err(|problem| journal.refused(Phase::Receive, problem))
}

fn parse(parts: http::request::Parts, client: Client) -> Result<Received, Problem> {
    let http::request::Parts { method, uri, version, headers: fields, .. } = parts;
    check_size(&uri, &fields)?;
    check_method(&method)?;
    check_content_length(&fields)?;
    let (host, authority) = authority(&uri, &fields)?;
    let path = path(&method, &uri)?;
    let query = uri.query().map(str::to_owned);
    let client = client.with_canonical_address();
    Ok(Received { method, version, host, authority, path, query, fields, client })
}

fn check_size(uri: &Uri, fields: &HeaderMap) -> Result<(), Problem> {
    let target_bytes = uri.path().len() + uri.query().map_or(0, |q| q.len() + 1);
    if target_bytes > TARGET_BYTES_MAX {
        return Err(Problem::new(
            ProblemKind::TargetTooLong,
            format!("Path and query may have {TARGET_BYTES_MAX} bytes in total; this request has {target_bytes}."),
            Reason::TargetTooLong { bytes: target_bytes },
        ));
    }
    let field_bytes: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if field_bytes > FIELD_BYTES_MAX || fields.len() > FIELD_LINES_MAX {
        return Err(Problem::new(
            ProblemKind::FieldsTooLarge,
            format!("A request may have {FIELD_LINES_MAX} fields of {FIELD_BYTES_MAX} bytes in total."),
            Reason::FieldsTooLarge { lines: Local(fields.len()), bytes: Local(field_bytes) },
        ));
    }
    Ok(())
}

/// TRACE would show a client the fields that the gateway adds, and CONNECT is for forward proxies.
fn check_method(method: &Method) -> Result<(), Problem> {
    if method == Method::TRACE || method == Method::CONNECT {
        let detail = format!("This gateway does not support {method}.");
        return Err(
            Problem::new(ProblemKind::MethodNotAllowed, detail, Reason::MethodNotOffered).with(http::header::ALLOW, "")
        );
    }
    Ok(())
}

/// One length or none: different lengths enable request smuggling (RFC 9112, section 6.3).
fn check_content_length(fields: &HeaderMap) -> Result<(), Problem> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let bad = |reason| Problem::new(ProblemKind::BadRequest, "The Content-Length field is not one number.", reason);
    let Some(first) = lengths.next() else { return Ok(()) };
    if lengths.any(|other| other != first) {
        return Err(bad(Reason::LengthsDiffer));
    }
    let digits = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
    if digits { Ok(()) } else { Err(bad(Reason::LengthNotANumber)) }
}

/// The requested host: from the target if it has one, otherwise from the Host field; if both are present they must
/// agree.
fn authority(uri: &Uri, fields: &HeaderMap) -> Result<(HostName, String), Problem> {
    let bad = |detail: &'static str| Problem::new(ProblemKind::BadRequest, detail, Reason::HostNotUsable);
    let mut lines = fields.get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(bad("The request has more than one Host field."));
    }
    let text = line.map(|value| value.to_str().map_err(|_| bad("The Host field is not a valid host."))).transpose()?;
    let read = |text: &str| HostName::from_authority(text).map_err(|_| bad("The Host field is not a valid host."));
    let in_field = text.map(|text| read(text).map(|host| (host, text.to_owned()))).transpose()?;
    let in_target = uri.authority().map(|a| read(a.as_str()).map(|host| (host, a.as_str().to_owned()))).transpose()?;
    match (in_target, in_field) {
        (Some((a, _)), Some((b, _))) if a != b => {
            Err(bad("The Host field and the request target name different hosts."))
        }
        (Some(found), _) | (None, Some(found)) => Ok(found),
        (None, None) => Err(bad("The request has no Host field.")),
    }
}

fn path(method: &Method, uri: &Uri) -> Result<CanonicalPath, Problem> {
    // `OPTIONS *` is about the whole server; it is treated as the root path.
    let raw = if method == Method::OPTIONS && uri.path() == "*" { "/" } else { uri.path() };
    CanonicalPath::parse(raw.as_bytes()).map_err(|error| {
        let kind = if error == PathError::TooLong { ProblemKind::TargetTooLong } else { ProblemKind::BadPath };
        let detail = format!(
            "Refused, because {error}: parsers could interpret it differently. Send the path in its plain form."
        );
        Problem::new(kind, detail, Reason::PathRefused { error })
    })
}
