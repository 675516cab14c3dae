//! The keys of kinds that read tokens for what a token must be bound to.

use tollgate_core::authn::{BindingMode, BindingRules, CertificateSource, DpopRules, IdentityRules};
use tollgate_core::jose::{Algorithm, Algorithms, KeyType};

use super::{Absence, Change, Value, Written, client_certificate};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::schema::texts::{ALGORITHM, FIELD_VALUE};
use crate::schema::{Key, List, Quantity, Shape};

/// What tokens must be bound to, and how that is verified.
pub(super) const BINDING: &[Key] = &[
    Key::optional("binding", "What tokens must be bound to. One that is bound is always checked.", Shape::Word(MODE_WORDS))
        .default("\"bearer\"")
        .change(Change::Accepts {
            what: "tokens that are bound to",
            words: &[
                ("bearer", &["nothing", "a certificate"]),
                ("dpop-or-bearer", &["nothing", "a key", "a certificate"]),
                ("any", &["a key", "a certificate"]),
                ("certificate", &["a certificate"]),
                ("dpop", &["a key"]),
            ],
        }),
    Key::optional(
        "certificate-from",
        "Who tells the certificate of the client to which a token may be bound.",
        Shape::Word(client_certificate::FROM_WORDS),
    )
    .default("\"connection\"")
    .change(Change::Review("certificates are told by somebody else")),
    Key::optional(
        "dpop-algorithms",
        "The algorithms of proofs that are accepted.",
        Shape::List(&ALGORITHMS),
    )
    .absent("RS256, PS256, ES256, ES384 and EdDSA, where proofs are accepted")
    .change(Change::MoreIsLooserIf(Absence::FollowsAnotherKey))
    .examples(&["[\"ES256\"]"]),
    Key::optional(
        "dpop-max-age",
        "How long after it was made a proof is accepted, and by how much the client's clock may be ahead.",
        Shape::Quantity(Quantity::Time),
    )
    .absent("1m, where proofs are accepted")
    .change(Change::MoreIsLooserIf(Absence::FollowsAnotherKey))
    .examples(&["\"30s\""]),
    Key::optional(
        "dpop-nonce",
        "A reference to the secret, of 16 characters or more, from which nonces for proofs are made; a client learns a nonce from \
         the field `DPoP-Nonce` of a refusal.",
        Shape::Ruled(&FIELD_VALUE),
    )
    .absent("proofs need no nonce")
    .change(Change::Required("proofs need another nonce"))
    .examples(&["\"${secret.DPOP_NONCE}\""]),
    Key::optional("dpop-once", "Whether a proof is accepted once only: a counter for each request.", Shape::Boolean)
        .absent("true, where proofs are accepted")
        .change(Change::LoosestFirst {
            words: &["false", "true"],
            looser: "a proof may be used several times",
            stricter: "a proof is accepted once only",
        }),
];

static ALGORITHMS: List = List::some_texts(Shape::Ruled(&ALGORITHM), 12);

const MODE_WORDS: &[(&str, &str)] = &[
    ("bearer", "to nothing; a token that is bound to a key (`cnf.jkt`) is refused"),
    ("dpop-or-bearer", "to nothing; proofs of keys are verified"),
    ("any", "to a key or to a client certificate"),
    ("certificate", "to a client certificate (RFC 8705)"),
    ("dpop", "to a key, of which each request has a proof (RFC 9449)"),
];

pub(super) const MODE: &[(&str, BindingMode)] = &[
    ("bearer", BindingMode::Bearer),
    ("dpop-or-bearer", BindingMode::DpopOrBearer),
    ("dpop", BindingMode::Dpop),
    ("certificate", BindingMode::Certificate),
    ("any", BindingMode::Any),
];

/// What tokens must be bound to; `Some(None)` if to nothing, with the usual source of certificates.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
pub(super) fn rules(written: &Written, report: &mut Report) -> Option<Option<BindingRules>> {
    let mode = written.word("binding", MODE)?;
    let certificate = written.word("certificate-from", client_certificate::FROM)?;
    let dpop = if mode.accepts_proofs() {
        Some(dpop(written, report)?)
    } else {
        without_effect(written, report)?;
        None
    };
    let is_usual = mode == BindingMode::Bearer && certificate == CertificateSource::Connection;
    Some((!is_usual).then_some(BindingRules { mode, certificate, dpop }))
}

fn dpop(written: &Written, report: &mut Report) -> Option<DpopRules> {
    let age_max_s = match written.written("dpop-max-age").map(|placed| placed.span) {
        None => AGE_MAX_S,
        Some(at) => age_max_s(written, at, report)?,
    };
    Some(DpopRules {
        algorithms: algorithms(written, report)?,
        age_max_s,
        nonce: written.parsed("dpop-nonce", |text| parsed::secret_reference(text, report))?,
        once: written.written("dpop-once").is_none() || written.boolean("dpop-once"),
    })
}

fn age_max_s(written: &Written, at: Span, report: &mut Report) -> Option<u32> {
    let seconds = super::bearer::seconds(written, "dpop-max-age").filter(|seconds| *seconds <= AGE_MAX_MAX_S);
    if seconds.is_none() {
        refuse(
            at,
            "`dpop-max-age` is longer than an hour",
            "a proof that is accepted for long can be used by who has read it on the way",
            "write a duration such as `1m`",
            report,
        );
    }
    seconds
}

fn algorithms(written: &Written, report: &mut Report) -> Option<Algorithms> {
    if written.written("dpop-algorithms").is_none() {
        return Some(Algorithm::PUBLIC.into_iter().collect());
    }
    let mut all = Vec::new();
    for name in written.list("dpop-algorithms") {
        match name.value.parse::<Algorithm>() {
            Ok(algorithm) if algorithm.key_type() != KeyType::Octets => all.push(algorithm),
            Ok(_) | Err(()) => {
                let what = format!("`{}` is no algorithm of public keys", name.value);
                let why = "the key is in the proof, so it must not be a shared secret (RFC 9449, section 4.2)";
                refuse(name.span, what, why, "write one such as ES256, EdDSA or PS256", report);
                return None;
            }
        }
    }
    Some(all.into_iter().collect())
}

/// Checks that no key is written that has no effect without proofs.
fn without_effect(written: &Written, report: &mut Report) -> Option<()> {
    let keys = ["dpop-algorithms", "dpop-max-age", "dpop-nonce", "dpop-once"];
    let useless = keys.into_iter().find_map(|key| Some((key, written.written(key)?.span)));
    let Some((key, at)) = useless else { return Some(()) };
    refuse(
        at,
        format!("`{key}` has no effect, because proofs of keys are not accepted"),
        "only with `binding: dpop`, `dpop-or-bearer` or `any` a token may be bound to a key",
        format!("add `binding: dpop`, or remove `{key}`"),
        report,
    );
    None
}

fn refuse(at: Span, what: impl Into<String>, why: &str, fix: impl Into<String>, report: &mut Report) {
    report.push(Diagnostic::error(Code::BadBinding, at, what).why(why).fix(fix));
}

/// The rules as they would be written.
pub(super) fn values(rules: &IdentityRules) -> impl Iterator<Item = (&'static str, Value)> {
    let dpop = rules.dpop();
    let algorithms = |dpop: &DpopRules| dpop.algorithms.iter().map(|algorithm| algorithm.to_string()).collect();
    let all = [
        Value::word("binding", MODE, &rules.binding_mode()),
        Value::word("certificate-from", client_certificate::FROM, &rules.certificate_source()),
        dpop.map(|dpop| ("dpop-algorithms", Value::List(algorithms(dpop)))),
        dpop.map(|dpop| ("dpop-max-age", Value::DurationMs(u64::from(dpop.age_max_s) * 1_000))),
        dpop.and_then(|dpop| Some(("dpop-nonce", Value::Text(super::bearer::written_secret(dpop.nonce.as_ref()?))))),
        dpop.map(|dpop| ("dpop-once", Value::Boolean(dpop.once))),
    ];
    all.into_iter().flatten()
}

/// Long enough for a request that is sent again, and for clocks that differ.
const AGE_MAX_S: u32 = 60;

const AGE_MAX_MAX_S: u32 = 3_600;
