//! Header fields, query parameters and scopes.

use http::{HeaderName, HeaderValue};
use tollgate_core::authn::is_environment;
use tollgate_core::forward::{IdentityField, Told};
use tollgate_core::operator::SECRET_PREFIX;
use tollgate_core::secret::{Piece, SecretText};

use crate::decode::habits;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};

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
fn token(text: &Spanned<String>, report: &mut Report) -> Option<String> {
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
    if valid && is_scope_pattern(&text.value) {
        report.push(
            Diagnostic::warning(
                Code::PatternScope,
                text.span,
                format!("`{}` is the scope as it is written", text.value),
            )
            .why("scopes are compared as a whole, and all scopes of a list are required")
            .fix("list each scope, such as `[pets.read, pets.write]`, or `{any: [pets.read, pets.write]}` if one is enough"),
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

/// Parses the environment in a key.
pub(crate) fn key_environment(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let valid = is_environment(&text.value);
    if !valid {
        report.push(
            Diagnostic::error(Code::BadName, text.span, format!("`{}` is not an environment of keys", text.value))
                .why("no key can contain it")
                .fix("use 1 to 12 lowercase letters and digits, such as `live`"),
        );
    }
    valid.then(|| text.value.clone())
}

/// Parses a group, which has the form of a scope.
pub(crate) fn group(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let valid = can_be_scope(&text.value);
    if !valid {
        report.push(
            Diagnostic::error(Code::BadName, text.span, format!("`{}` is not a valid group", text.value))
                .why("a group is one word without spaces")
                .fix("write a word such as `partners`"),
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
            let why = "the case of letters makes no difference in the name of a field";
            report.push(set_twice(name.span, &field, why));
            continue;
        }
        all.push((field, text));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn set_twice(at: Span, field: &str, why: &str) -> Diagnostic {
    Diagnostic::error(Code::Repeated, at, format!("the field `{field}` is set twice"))
        .why(why)
        .fix("remove one of them")
}

/// Parses header fields that tell an upstream who the caller is, beside those that are set to a text.
pub(crate) fn identity(
    list: &[(Spanned<String>, Spanned<Told>)],
    (upstream, set): (&str, &[(String, SecretText)]),
    report: &mut Report,
) -> Vec<IdentityField> {
    let mut all: Vec<IdentityField> = Vec::new();
    for (written, tells) in list {
        let name = field_name(written, report).and_then(|name| HeaderName::try_from(name).ok());
        let Some(name) = name else { continue };
        let is_same = |known: &str| as_read(known) == as_read(name.as_str());
        if set.iter().any(|(known, _)| is_same(known)) || all.iter().any(|known| is_same(known.name.as_str())) {
            let why = "`headers` of the upstream set fields too, and some servers read other spellings of a name, such as with `_` for \
                       `-`, as the same";
            report.push(set_twice(written.span, name.as_str(), why));
            continue;
        }
        let mut tells = tells.value.clone();
        if let Told::Token(token) = &mut tells
            && token.audience.is_empty()
        {
            upstream.clone_into(&mut token.audience);
        }
        all.push(IdentityField { name, tells });
    }
    all.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    all
}

/// The name that CGI and WSGI servers read (RFC 3875, section 4.1.18).
fn as_read(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
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

/// Parses a text whose secret is not in the file.
pub(crate) fn secret_reference(value: &Spanned<String>, report: &mut Report) -> Option<SecretText> {
    let text = secret_text(value, report)?;
    if text.secret_names().next().is_none() {
        report.push(
            Diagnostic::error(Code::LiteralSecret, value.span, "a secret is written in the file")
                .why("it would be part of the published configuration, which is not kept secret")
                .fix("write `${secret.NAME}`, and bind the secret on the host"),
        );
        return None;
    }
    Some(text)
}

pub(crate) fn secret_text(value: &Spanned<String>, report: &mut Report) -> Option<SecretText> {
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
                "*" => "write the whole name of one parameter: a name stands for itself",
                name if habits::value::pattern(name).is_some() => {
                    "write the whole name of one parameter: it is no pattern"
                }
                _ => "use letters, digits, `-`, `.`, `_` and `~`",
            }),
        );
    }
    valid.then(|| text.value.clone())
}

/// Parses the name of the query parameter of an API key.
pub(crate) fn key_place(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    if habits::field::is_no_name(&text.value) {
        report.push(
            Diagnostic::warning(
                Code::BadQueryParameter,
                text.span,
                format!("keys are also read from the query parameter `{}`", text.value),
            )
            .why("a name stands for itself, also a word that means no parameter elsewhere")
            .fix("remove `query` if keys are not read from the query"),
        );
    }
    parameter_name(text, report)
}

/// Parses the name of a cookie, which is a token (RFC 6265, section 4.1.1).
pub(crate) fn cookie_name(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let is_valid = HeaderName::from_bytes(text.value.as_bytes()).is_ok();
    if !is_valid {
        report.push(
            Diagnostic::error(Code::BadField, text.span, format!("`{}` is not the name of a cookie", text.value))
                .why("the name of a cookie has no blanks, and none of `()<>@,;:\\\"/[]?={}`")
                .fix("write the name of one cookie, such as `session`"),
        );
    }
    is_valid.then(|| text.value.clone())
}

/// Whether a scope is written as a pattern, or as several scopes; it is compared as it is written.
#[must_use]
pub fn is_scope_pattern(text: &str) -> bool {
    habits::value::is_scope_pattern(text)
}

/// Parses the name of a query parameter in a cache key, which is no pattern.
pub(crate) fn key_parameter(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    if text.value == "*" {
        report.push(
            Diagnostic::error(Code::BadQueryParameter, text.span, "`*` is not the name of a query parameter")
                .why("without this key, the whole query is in the key")
                .fix("remove the key if all parameters are meant, or list them"),
        );
        return None;
    }
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
