//! The identity providers of a test file, and the tokens that they issue.

use serde_json::{Map, Value as Json};
use tollgate_core::jose::Algorithm;
use tollgate_core::time::Timestamp;
use tollgate_core::x509::Fingerprint;

use super::consumer;
use super::text::json;
use crate::decode::{self, DURATION, Fields};
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Entry, Node, Value};

/// An identity provider, whose keys are generated from the names.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The name in steps.
    pub name: Spanned<String>,
    /// The value of `iss`; its metadata are below this URL.
    pub url: String,
    /// The URL of its keys, if it is another one than the usual.
    pub jwks: Option<String>,
    /// The value of `aud`.
    pub audience: Option<String>,
    /// The algorithm of its keys.
    pub algorithm: Algorithm,
    /// The ids of the keys that it publishes at the beginning.
    pub keys: Vec<String>,
}

/// A token that a request presents.
#[derive(Clone, Debug)]
pub struct TestToken {
    /// The name of the issuer.
    pub issuer: Spanned<String>,
    /// The id of the key that signs it; `None` for the first that is published.
    pub key: Option<String>,
    /// Claims beside or in place of the usual ones; `null` leaves one out.
    pub claims: Map<String, Json>,
    /// The type in its header.
    pub kind: Option<String>,
    /// When it was issued; `None` for now.
    pub issued: Option<Timestamp>,
    /// For how many seconds it is valid.
    pub lifetime_s: u64,
    /// Whether another key than the named one signs it.
    pub is_forged: bool,
    /// The client's key to which it is bound.
    pub bound_key: Option<String>,
    /// The certificate to which it is bound.
    pub bound_certificate: Option<Fingerprint>,
    /// The proof that is sent with it; `None` if it is a bearer token.
    pub proof: Option<TestProof>,
}

/// A proof of the client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestProof {
    /// Right in every respect.
    Valid,
    /// There is none.
    Missing,
    /// Of another key.
    OfAnotherKey,
    /// For another URL.
    OfAnotherRequest,
    /// For another token.
    OfAnotherToken,
    /// With a wrong signature.
    Forged,
    /// Made an hour ago.
    Old,
    /// With an id that was used before.
    Repeated,
    /// Without the nonce of the gateway.
    WithoutNonce,
}

/// What changes at an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerChange {
    /// The keys that it publishes.
    Publishes(Vec<String>),
    /// How it answers.
    Answers(IssuerAnswer),
    /// What becomes of the accounts of people, by their subjects.
    Accounts(Vec<(String, AccountChange)>),
    /// A person is logged out there, and the gateway is told of it.
    LogsOut(String),
}

/// What becomes of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// Nobody logs in with it any more, and no session is confirmed.
    Closed,
    /// ID tokens have these claims from now on, beside the others or in place of them.
    Claims(Map<String, Json>),
}

/// How an issuer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerAnswer {
    /// With its metadata and keys.
    Up,
    /// Not at all.
    Down,
    /// With a page.
    Html,
    /// With more than is read.
    Large,
    /// After more time than a request waits.
    Slow,
}

impl TestToken {
    /// A token of an issuer with the usual claims.
    #[must_use]
    pub fn plain(issuer: Spanned<String>) -> Self {
        Self {
            issuer,
            key: None,
            claims: Map::new(),
            kind: None,
            issued: None,
            lifetime_s: LIFETIME_S,
            is_forged: false,
            bound_key: None,
            bound_certificate: None,
            proof: None,
        }
    }
}

/// Decodes `issuers:` of a file.
pub(super) fn issuers(node: &Node, report: &mut Report) -> Option<Vec<Issuer>> {
    let entries = named(
        node,
        "identity providers",
        "write a mapping such as `{staff: {issuer: \"https://id.example.com\"}}`",
        report,
    )?;
    let issuer = |Entry { key, value }: &Entry| {
        let mut fields = Fields::open(value, &tables::TEST_ISSUER, "this issuer", value.span, report)?;
        let url = fields.required("issuer", report, decode::text);
        let jwks = fields.optional("jwks", report, decode::text);
        let audience = fields.optional("audience", report, decode::text);
        let algorithm = fields.optional("algorithm", report, |node, report| decode::word(node, ALGORITHMS, report));
        let keys = fields.optional("keys", report, key_ids);
        fields.finish(report);
        Some(Issuer {
            name: key.clone(),
            url: url?.value,
            jwks: jwks.map(|url| url.value),
            audience: audience.map(|name| name.value),
            algorithm: algorithm.unwrap_or(Algorithm::EdDsa),
            keys: keys.unwrap_or_else(|| vec![FIRST_KEY.to_owned()]),
        })
    };
    Some(entries.iter().filter_map(issuer).collect())
}

/// Decodes `token:` of a step: the name of an issuer, or a mapping.
pub(super) fn token(node: &Node, report: &mut Report) -> Option<TestToken> {
    if matches!(node.value, Value::Text(_)) {
        return decode::text(node, report).map(TestToken::plain);
    }
    let mut fields = Fields::open(node, &tables::TEST_TOKEN, "this token", node.span, report)?;
    let issuer = fields.required("issuer", report, decode::text);
    let key = fields.optional("key", report, decode::text);
    let claims = fields.optional("claims", report, claims);
    let kind = fields.optional("type", report, decode::text);
    let issued = fields.optional("issued", report, consumer::timestamp);
    let lifetime = fields.optional("lifetime", report, |node, report| decode::quantity(node, &DURATION, report));
    let is_forged = fields.optional("forged", report, decode::boolean);
    let (bound_key, bound_certificate) = fields.optional("bound-to", report, bound_to).unwrap_or_default();
    let proof_at = fields.key_span("proof");
    let proof = fields.optional("proof", report, |node, report| decode::word(node, PROOFS, report));
    fields.finish(report);
    if let (Some(at), None) = (proof_at, &bound_key) {
        report.push(
            Diagnostic::error(Code::BadRequest, at, "a proof for a token that is not bound to a key")
                .why("a proof is that of the key to which the token is bound")
                .fix("add `bound-to: {key: NAME}`, or remove `proof`"),
        );
        return None;
    }
    let proof = proof.unwrap_or_else(|| bound_key.is_some().then_some(TestProof::Valid));
    Some(TestToken {
        bound_key,
        bound_certificate,
        proof,
        key: key.map(|key| key.value),
        claims: claims.unwrap_or_default(),
        kind: kind.map(|kind| kind.value),
        issued,
        lifetime_s: lifetime.map_or(LIFETIME_S, |ms| ms.value / 1_000),
        is_forged: is_forged.unwrap_or(false),
        ..TestToken::plain(issuer?)
    })
}

/// What a token is bound to: a key, a certificate, or both.
fn bound_to(node: &Node, report: &mut Report) -> Option<(Option<String>, Option<Fingerprint>)> {
    let mut fields = Fields::open(node, &tables::TEST_BINDING, "`bound-to`", node.span, report)?;
    let key = fields.optional("key", report, decode::text).map(|key| key.value);
    let certificate = fields.optional("certificate", report, decode::text);
    fields.finish(report);
    Some((key, certificate.map(|subject| Fingerprint::of(subject.value.as_bytes()))))
}

const PROOFS: &[(&str, Option<TestProof>)] = &[
    ("valid", Some(TestProof::Valid)),
    ("none", None),
    ("missing", Some(TestProof::Missing)),
    ("of-another-key", Some(TestProof::OfAnotherKey)),
    ("of-another-request", Some(TestProof::OfAnotherRequest)),
    ("of-another-token", Some(TestProof::OfAnotherToken)),
    ("forged", Some(TestProof::Forged)),
    ("old", Some(TestProof::Old)),
    ("repeated", Some(TestProof::Repeated)),
    ("without-nonce", Some(TestProof::WithoutNonce)),
];

/// Decodes `issuers:` of a step: what changes at each of them.
pub(super) fn changes(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, IssuerChange)>> {
    let entries =
        named(node, "identity providers", "write a mapping such as `{staff: down}` or `{staff: [k2]}`", report)?;
    let change = |Entry { key, value }: &Entry| {
        let state = match &value.value {
            Value::List(_) => IssuerChange::Publishes(key_ids(value, report)?),
            Value::Map(_) => people(value, report)?,
            _ => IssuerChange::Answers(decode::word(value, ANSWERS, report)?),
        };
        Some((key.clone(), state))
    };
    Some(entries.iter().filter_map(change).collect())
}

/// `{accounts: {ada: closed}}` or `{logs-out: ada}`.
fn people(node: &Node, report: &mut Report) -> Option<IssuerChange> {
    let mut fields = Fields::open(node, &tables::TEST_ISSUER_CHANGE, "this change", node.span, report)?;
    let accounts = fields.optional("accounts", report, |node, report| {
        let entries = named(node, "accounts", "write a mapping such as `{ada: closed}`", report)?;
        let account = |Entry { key, value }: &Entry| {
            let change = match &value.value {
                Value::Map(_) => AccountChange::Claims(claims(value, report)?),
                _ => decode::word(value, &[("closed", ())], report).map(|()| AccountChange::Closed)?,
            };
            Some((key.value.clone(), change))
        };
        Some(entries.iter().filter_map(account).collect())
    });
    let person = fields.optional("logs-out", report, decode::text);
    let is_one = fields.check_rules(report);
    fields.finish(report);
    if !is_one {
        return None;
    }
    accounts.map(IssuerChange::Accounts).or(person.map(|person| IssuerChange::LogsOut(person.value)))
}

/// Reports the name of an issuer that the file does not have.
pub(super) fn check_name(name: &Spanned<String>, issuers: &[Issuer], report: &mut Report) {
    let known = || issuers.iter().map(|issuer| issuer.name.value.as_str());
    if known().any(|own| own == name.value) {
        return;
    }
    let fix = match closest(&name.value, known()) {
        Some(known) => format!("did you mean `{known}`?"),
        None if issuers.is_empty() => "define it: `issuers: {NAME: {issuer: \"https://id.example.com\"}}`".to_owned(),
        None => format!("use one of {}", listed(known())),
    };
    report.push(
        Diagnostic::error(Code::UnknownInProject, name.span, format!("the file has no issuer `{}`", name.value))
            .why("its tokens are generated from what the file says of it")
            .fix(fix),
    );
}

fn named<'n>(node: &'n Node, what: &str, fix: &str, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => decode::mistyped(node, &format!("a mapping of {what}"), fix, report),
    }
}

fn key_ids(node: &Node, report: &mut Report) -> Option<Vec<String>> {
    let ids = decode::some_texts(node, tables::TEST_ISSUER_KEYS_MAX, report)?;
    ids.iter().all(|id| decode::check_id(id, report)).then(|| ids.into_iter().map(|id| id.value).collect())
}

fn claims(node: &Node, report: &mut Report) -> Option<Map<String, Json>> {
    match json(node)? {
        Json::Object(claims) => Some(claims),
        _ => decode::mistyped(node, "a mapping of claims", "write a mapping such as `{sub: ada}`", report),
    }
}

/// The algorithms of generated keys: those whose keys and signatures are the same in every run.
const ALGORITHMS: &[(&str, Algorithm)] = &[("EdDSA", Algorithm::EdDsa), ("ES256", Algorithm::Es256)];

const ANSWERS: &[(&str, IssuerAnswer)] = &[
    ("up", IssuerAnswer::Up),
    ("down", IssuerAnswer::Down),
    ("html", IssuerAnswer::Html),
    ("large", IssuerAnswer::Large),
    ("slow", IssuerAnswer::Slow),
];

const FIRST_KEY: &str = "k1";
const LIFETIME_S: u64 = 300;
