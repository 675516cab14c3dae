//! `kind: api-key`.

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use tollgate_core::authn::{ApiKeySettings, CredentialPlace};

use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::schema::texts::{FIELD, QUERY_PARAMETER, SCHEME};
use crate::schema::{Key, Object, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates callers by an API key; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "api-key",
    doc: "Authenticates callers by an API key, which is looked up in the records of credentials. Named in `authn`.",
    keys: &[
        kind_key(&[("api-key", DOES)]),
        Key::optional("header", "The header field that contains the key.", Shape::Ruled(&FIELD))
            .default("\"X-API-Key\"")
            .change(Change::Identity),
        Key::optional("scheme", "The authentication scheme before the key in this field.", Shape::Ruled(&SCHEME))
            .absent("none")
            .change(Change::Identity)
            .examples(&["\"Bearer\""]),
        Key::optional("query", "A query parameter that may contain the key instead.", Shape::Ruled(&QUERY_PARAMETER))
            .absent("no query parameter")
            .change(Change::Identity)
            .examples(&["\"api-key\""]),
    ],
    examples: &["{\"kind\": \"api-key\", \"header\": \"X-API-Key\"}"],
    ..Object::PLAIN
};

fn report_no_scheme(header: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoScheme, header, "`Authorization` is read without a scheme")
            .why("clients send a scheme before the key (RFC 9110, section 11.6.2), so their keys would be refused")
            .fix("add `scheme: Bearer`"),
    );
}

fn report_cookie(header: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::BadField, header, "keys in cookies are not read")
            .why("the whole value of `Cookie` would have to be the key, but it consists of pairs such as `name=value`")
            .fix("write another field, such as `X-API-Key`"),
    );
}

impl Kind for ApiKeySettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let header = written.text("header");
        let field = header.as_ref().and_then(|name| HeaderName::try_from(parsed::field_name(name, report)?).ok());
        let scheme = written.parsed("scheme", |scheme| parsed::key_scheme(scheme, report));
        if let (Some(header), Some(field), Some(None)) = (&header, &field, &scheme)
            && field == AUTHORIZATION
        {
            report_no_scheme(header.span, report);
        }
        if let (Some(header), Some(field)) = (&header, &field)
            && field == COOKIE
        {
            report_cookie(header.span, report);
        }
        let query = written.parsed("query", |name| parsed::key_place(name, report));
        Some(Self { place: CredentialPlace { query: query?, ..CredentialPlace::field(field?, scheme?) } })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let CredentialPlace { field, scheme, query, cookie: _ } = &self.place;
        let text = |key, value: &Option<String>| Some((key, Value::Text(value.clone()?)));
        let field = Some(("header", Value::Text(field.to_string())));
        [field, text("scheme", scheme), text("query", query)].into_iter().flatten().collect()
    }
}
