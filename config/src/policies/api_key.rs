//! `kind: api-key`.

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use tollgate_core::authn::{ApiKeySettings, CredentialPlace, KeyRules};

use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::schema::texts::{ENVIRONMENT, FIELD, QUERY_PARAMETER, SCHEME};
use crate::schema::{Key, List, Object, Shape};

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
        Key::optional(
            "environments",
            "The environments of accepted keys, as in `tg_live_...`; a key of another make has that of its record.",
            Shape::List(&ENVIRONMENTS),
        )
        .absent("all environments")
        .change(Change::MoreIsLooser)
        .examples(&["[\"live\"]"]),
        Key::optional("key-format", "The format of accepted keys.", Shape::Word(FORMAT_WORDS))
            .default("\"tollgate\"")
            .change(Change::LoosestFirst {
                words: &["any", "tollgate"],
                looser: "keys of other formats are accepted",
                stricter: "keys of other formats are refused",
            }),
    ],
    examples: &["{\"kind\": \"api-key\", \"header\": \"X-API-Key\"}"],
    ..Object::PLAIN
};

pub(super) static ENVIRONMENTS: List = List::some_texts(Shape::Ruled(&ENVIRONMENT), ENVIRONMENTS_MAX);

const FORMAT_WORDS: &[(&str, &str)] = &[
    ("any", "also keys of other makes, of 16 to 256 visible characters: each one that is made up is looked up"),
    ("tollgate", "keys that `tollgate key new` creates; all others are refused without a look-up"),
];

const FORMATS: &[(&str, bool)] = &[("tollgate", false), ("any", true)];

/// More than any gateway serves.
const ENVIRONMENTS_MAX: usize = 16;

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
        let environments = written.list("environments");
        let known: Vec<String> = environments.iter().filter_map(|text| parsed::key_environment(text, report)).collect();
        let any_format = written.word("key-format", FORMATS)?;
        let rules = (known.len() == environments.len()).then_some(KeyRules { environments: known, any_format });
        let place = CredentialPlace { query: query?, ..CredentialPlace::field(field?, scheme?) };
        Some(Self { place, rules: rules? })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let CredentialPlace { field, scheme, query, cookie: _, with_proof: _ } = &self.place;
        let text = |key, value: &Option<String>| Some((key, Value::Text(value.clone()?)));
        let field = Some(("header", Value::Text(field.to_string())));
        let KeyRules { environments, any_format } = &self.rules;
        let environments = (!environments.is_empty()).then(|| ("environments", Value::List(environments.clone())));
        let format = Value::word("key-format", FORMATS, any_format);
        [field, text("scheme", scheme), text("query", query), environments, format].into_iter().flatten().collect()
    }
}
