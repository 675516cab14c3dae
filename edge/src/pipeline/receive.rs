//! receive: the request is parsed once, strictly; ambiguous or too large requests are refused.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use tollgate_core::bounds::{FIELD_BYTES_MAX, FIELD_LINES_MAX, TARGET_BYTES_MAX};
use tollgate_core::client::{Location, Origin};
use tollgate_core::event::{Local, Phase, Reason};
use tollgate_core::forward::{Framing, FramingError, is_trimmed};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::route::{CanonicalPath, HostName, PathError};

use super::Client;
use super::exchange::{Certificates, Journal, Received};
use crate::ports::Host;

pub(super) fn receive<C>(request: Request<C>, client: Client, journal: &mut Journal) -> Result<(Received, C), Problem> {
    let (parts, content) = request.into_parts();
    let taken = parse(parts, client);
    taken.map(|received| (received, content)).map_err(|problem| journal.refused(Phase::Receive, problem))
}

/// What can be decided only when it is known who the client is.
///
/// An `https` URL must not be served over a connection that is not encrypted (RFC 9110, section 7.4), unless a trusted proxy
/// says that the client's is.
pub(super) fn admit<H: Host>(
    host: &H,
    received: &Received,
    content: &H::Content,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let problem = if received.is_for_https && !received.origin.https {
        let detail = "The target is an https URL, and this connection is not encrypted. Connect with TLS; if a proxy in front \
                      of the gateway does, the gateway has to trust it (gateway.trusted-proxies).";
        Problem::new(ProblemKind::Misdirected, detail, Reason::ConnectionNotSecure)
    } else if !host.admits(received.origin.address, content) {
        let detail = "This client has as many requests at once as it may. Wait until some of them are answered.";
        Problem::new(ProblemKind::TooManyAtOnce, detail, Reason::ClientBusy).with(RETRY_AFTER, "1")
    } else {
        return Ok(());
    };
    Err(journal.refused(Phase::Receive, problem))
}

fn parse(parts: http::request::Parts, client: Client) -> Result<Received, Problem> {
    let http::request::Parts { method, uri, version, headers: mut fields, .. } = parts;
    let mut seen = Seen::of(&fields);
    if seen.cookies > 1 {
        join_cookies(&mut fields);
        seen = Seen::of(&fields);
    }
    check_size(&uri, &fields, seen.bytes)?;
    check_values(&seen)?;
    check_method(&method)?;
    if seen.is_framed {
        check_framing(&mut fields)?;
    }
    let is_for_https = is_for_https(&uri)?;
    let (host, authority) = authority(&uri, &fields, version, client.https)?;
    let path = path(&method, &uri)?;
    let sent_path = (uri.path() != path.as_str()).then(|| uri.path().to_owned());
    let query = uri.query().map(str::to_owned);
    let origin = Origin::of_peer(client.address, client.https);
    let certificates = Certificates::default();
    Ok(Received {
        method,
        version,
        host,
        authority,
        path,
        sent_path,
        query,
        fields,
        client,
        origin,
        certificates,
        location: Location::default(),
        is_for_https,
    })
}

/// What one pass over the fields shows: a look-up by name costs more than this for all of them.
#[derive(Default)]
struct Seen {
    /// Bytes of names and values.
    bytes: usize,
    /// Lines of `Cookie`.
    cookies: usize,
    /// Whether a value has blanks around it.
    has_blanks: bool,
    /// Whether a field describes where the content ends.
    is_framed: bool,
}

impl Seen {
    fn of(fields: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in fields {
            seen.bytes += name.as_str().len() + value.len();
            seen.cookies += usize::from(*name == COOKIE);
            seen.has_blanks |= !is_trimmed(value);
            seen.is_framed |= *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING;
        }
        seen
    }
}

fn check_size(uri: &Uri, fields: &HeaderMap, field_bytes: usize) -> Result<(), Problem> {
    let target_bytes = uri.path().len() + uri.query().map_or(0, |q| q.len() + 1);
    if target_bytes > TARGET_BYTES_MAX {
        return Err(Problem::new(
            ProblemKind::TargetTooLong,
            format!("Path and query may have {TARGET_BYTES_MAX} bytes in total; this request has {target_bytes}."),
            Reason::TargetTooLong { bytes: target_bytes },
        ));
    }
    if field_bytes > FIELD_BYTES_MAX || fields.len() > FIELD_LINES_MAX {
        return Err(Problem::new(
            ProblemKind::FieldsTooLarge,
            format!("A request may have {FIELD_LINES_MAX} fields of {FIELD_BYTES_MAX} bytes in total."),
            Reason::FieldsTooLarge { lines: Local(fields.len()), bytes: Local(field_bytes) },
        ));
    }
    Ok(())
}

/// A value has no blanks around it (RFC 9113, section 8.2.1): servers remove them, and would read another value than the
/// gateway. HTTP/1.1 has them removed when it is parsed, HTTP/2 does not allow them.
fn check_values(seen: &Seen) -> Result<(), Problem> {
    if !seen.has_blanks {
        return Ok(());
    }
    let detail = "The value of a field begins or ends with a blank.";
    Err(Problem::new(ProblemKind::BadRequest, detail, Reason::ValueNotTrimmed))
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

/// Whether the target is an `https` URL; a server of HTTP has no resources of other schemes (RFC 9110, section 4.2).
fn is_for_https(uri: &Uri) -> Result<bool, Problem> {
    match uri.scheme_str() {
        None | Some("http") => Ok(false),
        Some("https") => Ok(true),
        Some(_) => {
            let detail = "The request target's scheme is neither http nor https.";
            Err(Problem::new(ProblemKind::BadRequest, detail, Reason::SchemeNotServed))
        }
    }
}

/// One line with all cookies of several: HTTP/2 allows a line for each (RFC 9113, section 8.2.3), and a server that gets
/// several lines over HTTP/1.1 may read only the first.
fn join_cookies(fields: &mut HeaderMap) {
    let mut lines = fields.get_all(COOKIE).iter();
    let Some(first) = lines.next() else { return };
    let mut joined = first.as_bytes().to_vec();
    for line in lines {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line.as_bytes());
    }
    // Values and the separator between them are valid, so their sequence is.
    if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        fields.insert(COOKIE, joined);
    }
}

/// One length, or one coding that the gateway decodes, or neither: whatever else there is enables request smuggling
/// (RFC 9112, section 6.3). A length beside a coding is ignored, as section 6.1 requires.
fn check_framing(fields: &mut HeaderMap) -> Result<(), Problem> {
    let bad = |reason| Problem::new(ProblemKind::BadRequest, "The Content-Length field is not one number.", reason);
    match Framing::of(fields) {
        Ok(Framing::Chunked) => drop(fields.remove(CONTENT_LENGTH)),
        Ok(Framing::Length(length)) => {
            let mut lines = fields.get_all(CONTENT_LENGTH).iter();
            // A list of equal numbers is allowed, but not every server accepts it.
            if lines.next().is_some_and(|line| !line.as_bytes().iter().all(u8::is_ascii_digit)) {
                return Err(bad(Reason::LengthNotANumber));
            }
            if lines.next().is_some() {
                fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        Ok(Framing::Unstated) if fields.contains_key(CONTENT_LENGTH) => return Err(bad(Reason::LengthNotANumber)),
        Ok(Framing::Unstated) => {}
        Err(FramingError::LengthsDiffer) => return Err(bad(Reason::LengthsDiffer)),
        Err(FramingError::NotANumber) => return Err(bad(Reason::LengthNotANumber)),
        Err(FramingError::Coding) => {
            let detail = "The only transfer coding that this gateway accepts is chunked.";
            let kind = ProblemKind::TransferCodingUnsupported;
            return Err(Problem::new(kind, detail, Reason::CodingNotSupported));
        }
    }
    Ok(())
}

/// The requested host: from the target if it has one, otherwise from the Host field; if both are present they must
/// agree. Only an HTTP/1.0 request may have neither (RFC 9112, section 3.2).
///
/// The authority that the upstream is told has one spelling: otherwise a client could have a response stored with links in
/// its own.
fn authority(
    uri: &Uri,
    fields: &HeaderMap,
    version: Version,
    https: bool,
) -> Result<(HostName, Option<String>), Problem> {
    let bad = |detail: &'static str| Problem::new(ProblemKind::BadRequest, detail, Reason::HostNotUsable);
    let mut lines = fields.get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(bad("The request has more than one Host field."));
    }
    let text = line.map(|value| value.to_str().map_err(|_| bad("The Host field is not a valid host."))).transpose()?;
    let read = |text: &str| HostName::with_port(text).map_err(|_| bad("The Host field is not a valid host."));
    let in_field = text.map(read).transpose()?;
    let in_target = uri.authority().map(|authority| read(authority.as_str())).transpose()?;
    let (host, port) = match (in_target, in_field) {
        (Some((a, _)), Some((b, _))) if a != b => {
            return Err(bad("The Host field and the request target name different hosts."));
        }
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) if version == Version::HTTP_10 => return Ok((HostName::absent(), None)),
        (None, None) => return Err(no_host()),
    };
    let authority = host.authority(port, https);
    Ok((host, authority))
}

/// The problem of a request that names no host, if one is needed to find its route.
pub(super) fn no_host() -> Problem {
    Problem::new(ProblemKind::BadRequest, "The request has no Host field.", Reason::HostNotUsable)
}

fn path(method: &Method, uri: &Uri) -> Result<CanonicalPath, Problem> {
    // `OPTIONS *` is about the whole server; it is treated as the root path.
    let raw = if method == Method::OPTIONS && uri.path() == "*" { "/" } else { uri.path() };
    CanonicalPath::parse(raw.as_bytes()).map_err(refused_path)
}

/// The problem of a path that the rule for paths refuses.
pub(super) fn refused_path(error: PathError) -> Problem {
    let kind = if error == PathError::TooLong { ProblemKind::TargetTooLong } else { ProblemKind::BadPath };
    let detail =
        format!("Refused, because {error}: parsers could interpret it differently. Send the path in its plain form.");
    Problem::new(kind, detail, Reason::PathRefused { error })
}
