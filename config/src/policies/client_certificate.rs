//! `kind: client-certificate`.

use tollgate_core::authn::{
    CertificateConsumer, CertificateName, CertificateRule, CertificateSource, ClientCertificateSettings,
};
use tollgate_core::forward::Attribute;
use tollgate_core::x509::Fingerprint;

use super::{Change, Kind, OWN_PREFIX, Value, Written, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::{CERTIFICATE_NAME, SCOPE};
use crate::schema::{Key, List, Named, Object, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates callers by the certificate of their TLS connection; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "client-certificate",
    doc: "Authenticates callers by the certificate that they present when they connect (mutual TLS, RFC 8446). The host, or a \
          trusted proxy, has verified it with the authorities that are configured there. Named in `authn`.",
    keys: &[
        kind_key(&[("client-certificate", DOES)]),
        Key::optional("from", "Who tells which certificate the client has.", Shape::Word(FROM_WORDS))
            .default("\"connection\"")
            .change(Change::Review("other certificates are accepted")),
        Key::optional("accept", "What certificates must have, by kind of name: one of the listed values.", ACCEPT)
            .absent("every certificate that was verified")
            .change(Change::OneOfEach)
            .examples(&["{\"dns\": \"*.devices.example.com\"}", "{\"issuer\": [\"CN=Devices CA,O=Example\"]}"]),
        Key::optional("consumer", "Who the caller is.", Shape::Word(CONSUMER_WORDS))
            .default("\"registered\"")
            .change(Change::Review("callers are other consumers")),
        Key::optional(
            "consumer-prefix",
            "The beginning of the consumer's name, before the name in the certificate. With `\"\"`, the authority chooses names \
             that consumers with API keys may have too.",
            Shape::Text,
        )
        .absent(OWN_PREFIX)
        .change(Change::Review("callers are other consumers"))
        .examples(&["\"device:\""]),
        Key::optional("plan", "The plan of the callers, if they are not registered.", Shape::Text)
            .absent("no plan")
            .change(Change::Review("callers have another plan"))
            .examples(&["\"gold\""]),
        Key::optional(
            "scopes",
            "The scopes of the callers, if they are not registered.",
            Shape::List(&List::some_texts(Shape::Ruled(&SCOPE), 64)),
        )
        .absent("none")
        .change(Change::MoreIsGranted)
        .examples(&["[\"orders.read\"]"]),
    ],
    examples: &["{\"kind\": \"client-certificate\", \"consumer\": \"dns\", \"accept\": {\"dns\": \"*.devices.example.com\"}}"],
    ..Object::PLAIN
};

pub(super) const FROM_WORDS: &[(&str, &str)] = &[
    ("connection", "the host: the certificate of the connection to the gateway"),
    ("client-cert", "a trusted proxy, in the field `Client-Cert` (RFC 9440)"),
];

pub(super) const FROM: &[(&str, CertificateSource)] =
    &[("connection", CertificateSource::Connection), ("client-cert", CertificateSource::Field)];

const CONSUMER_WORDS: &[(&str, &str)] = &[
    ("registered", "the consumer that the certificate's fingerprint is registered for"),
    ("common-name", "the common name in the subject"),
    ("subject", "the whole subject, as `CN=...,O=...` (RFC 4514)"),
    ("dns", "the host name in the alternative names"),
    ("uri", "the URI in the alternative names, such as a SPIFFE id"),
    ("email", "the address of mail in the alternative names"),
    ("fingerprint", "the SHA-256 of the certificate"),
];

const CONSUMER: &[(&str, CertificateConsumer)] = &[
    ("registered", CertificateConsumer::Registered),
    ("common-name", CertificateConsumer::CommonName),
    ("subject", CertificateConsumer::Subject),
    ("dns", CertificateConsumer::Dns),
    ("uri", CertificateConsumer::Uri),
    ("email", CertificateConsumer::Email),
    ("fingerprint", CertificateConsumer::Fingerprint),
];

const ACCEPT: Shape = Shape::Named(&Named {
    names: &CERTIFICATE_NAME,
    of: Shape::AnyOf(&[Shape::Text, Shape::List(&List::some_texts(Shape::Text, 64))]),
    max: CertificateName::ALL.len(),
});

impl Kind for ClientCertificateSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let consumer = written.word("consumer", CONSUMER)?;
        if consumer == CertificateConsumer::Registered {
            let own = ["consumer-prefix", "plan", "scopes"].map(|key| Some((key, written.written(key)?.span)));
            if let Some((key, span)) = own.into_iter().flatten().next() {
                report_own(key, span, report);
                return None;
            }
        }
        let mut accepts = Vec::new();
        for (name, values) in written.named("accept") {
            accepts.push(rule(&name, values, report)?);
        }
        accepts.sort_by_key(|rule| rule.name);
        Some(Self {
            source: written.word("from", FROM)?,
            consumer,
            consumer_prefix: written.text("consumer-prefix").map(|prefix| prefix.value),
            accepts,
            plan: written.text("plan").map(|plan| plan.value),
            scopes: written.list("scopes").into_iter().map(|scope| scope.value).collect(),
            kept: Vec::new(),
        })
    }

    fn keep(&mut self, fact: &Attribute) -> bool {
        let Attribute::Certificate(name) = fact else { return false };
        if let Err(place) = self.kept.binary_search(name) {
            self.kept.insert(place, *name);
        }
        true
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let accepts = self.accepts.iter().map(|rule| (rule.name.to_string(), rule.any_of.clone())).collect::<Vec<_>>();
        let text = |key, value: &Option<String>| value.clone().map(|text| (key, Value::Text(text)));
        [
            Value::word("from", FROM, &self.source),
            (!accepts.is_empty()).then_some(("accept", Value::Named(accepts))),
            Value::word("consumer", CONSUMER, &self.consumer),
            text("consumer-prefix", &self.consumer_prefix),
            text("plan", &self.plan),
            (!self.scopes.is_empty()).then(|| ("scopes", Value::List(self.scopes.clone()))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn report_own(key: &str, at: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::BadCertificatePolicy, at, format!("`{key}` for registered certificates"))
            .why("the record of a registered certificate says who its consumer is, with plan and scopes")
            .fix("remove it, or write `consumer:` with the name in the certificate that is the consumer"),
    );
}

/// The values of one kind; those that no certificate can have are refused.
fn rule(name: &Spanned<String>, mut values: Vec<String>, report: &mut Report) -> Option<CertificateRule> {
    let known = CertificateName::ALL.into_iter().find(|known| known.as_str() == name.value);
    let Some(known) = known else {
        let all = CertificateName::ALL.map(CertificateName::as_str).join(", ");
        refuse(name.span, &format!("`{}` is no kind of name", name.value), &format!("write one of {all}"), report);
        return None;
    };
    if values.is_empty() {
        refuse(
            name.span,
            "no values, so that no certificate would be accepted",
            "write one, or remove the key",
            report,
        );
        return None;
    }
    for value in &mut values {
        let fix = match known {
            CertificateName::Fingerprint => match Fingerprint::parse(value) {
                Some(fingerprint) => {
                    *value = fingerprint.to_string();
                    continue;
                }
                None => "write the SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it",
            },
            CertificateName::Dns => {
                value.make_ascii_lowercase();
                if is_host_pattern(value) {
                    continue;
                }
                "write a host name, such as `d7.example.com`, or `*.` before its parent"
            }
            CertificateName::Subject | CertificateName::Issuer if !is_distinguished_name(value) => {
                let written = match rfc_4514(value) {
                    Some(name) => format!("write `{name}`"),
                    None => "write a name such as `CN=Devices CA,O=Example`".to_owned(),
                };
                let fix = format!("{written}, as `openssl x509 -noout -{known} -nameopt RFC2253` prints it");
                refuse(name.span, &format!("no certificate has the {known} `{value}`"), &fix, report);
                return None;
            }
            CertificateName::Uri if is_uri_pattern(value) => continue,
            CertificateName::Uri => "write a URI, such as `spiffe://example.org/api`, or one that ends with `/*`",
            CertificateName::CommonName
            | CertificateName::Subject
            | CertificateName::Email
            | CertificateName::Issuer
                if value.trim() == value && !value.is_empty() =>
            {
                continue;
            }
            CertificateName::CommonName
            | CertificateName::Subject
            | CertificateName::Email
            | CertificateName::Issuer => "write the exact value",
        };
        refuse(name.span, &format!("no certificate has the {known} `{value}`"), fix, report);
        return None;
    }
    Some(CertificateRule { name: known, any_of: values })
}

/// Whether a text can be a name as in RFC 4514: attributes with equals signs and without blanks around them.
fn is_distinguished_name(text: &str) -> bool {
    !text.starts_with('/') && !text.contains(" = ") && text.contains('=') && text.trim() == text
}

/// A name that OpenSSL has written in one of its own forms: with the most general part first.
fn rfc_4514(text: &str) -> Option<String> {
    let parts: Vec<&str> = match text.strip_prefix('/') {
        Some(rest) => rest.split('/').collect(),
        None => text.split(", ").collect(),
    };
    let attribute = |part: &&str| {
        let (kind, value) = part.split_once('=')?;
        Some(format!("{}={}", kind.trim(), value.trim()))
    };
    let all: Option<Vec<String>> = parts.iter().rev().map(attribute).collect();
    all.map(|all| all.join(","))
}

/// A `*` stands for the first label of a host name that has others.
fn is_host_pattern(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.split('.').all(is_label)
}

/// A `*` stands for the rest of a URI after a slash.
fn is_uri_pattern(text: &str) -> bool {
    let fixed = text.strip_suffix("/*").unwrap_or(text);
    let has_scheme = fixed.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    has_scheme && fixed.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*')
}

fn refuse(at: Span, what: &str, fix: &str, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::BadCertificatePolicy, at, what)
            .why("all names of a certificate are compared as they are, and it must have one of these")
            .fix(fix),
    );
}
