//! `kind: http-signature`.

use std::num::NonZeroU32;

use tollgate_core::authn::{HttpSignatureSettings, SIGNATURE_ALGORITHMS, SigningKeys, component};
use tollgate_core::jose::{Algorithm, Algorithms, JwkSet, KeyType};

use super::bearer::{KEYS_PRIVATE, report_unused, written_secret};
use super::mapping::can_be_consumer;
use super::pem::jwk_of;
use super::webhook::{ONCE_MS_MAX, refuse, secret};
use super::{Absence, Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Report};
use crate::place::Spanned;
use crate::schema::texts::{COMPONENT, KEY_ID, URL};
use crate::schema::{Key, List, Named, Object, Quantity, Rule, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates callers that sign their requests (RFC 9421); named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "http-signature",
    doc: "Authenticates callers by the signature of their requests: HTTP Message Signatures (RFC 9421), with the digest of content \
          (RFC 9530), which is read into memory for it, at most 1 MiB. Named in `authn`.",
    keys: &[
        kind_key(&[("http-signature", DOES)]),
        Key::optional("keys", "The public keys of the signers: a JWK Set as JSON text.", Shape::Text)
            .absent("none")
            .change(Change::Review("signatures are verified with other keys"))
            .examples(&["\"{\\\"keys\\\": []}\""]),
        Key::optional("pem", "The public keys of the signers in PEM (RFC 7468), by their ids.", TEXTS)
            .absent("none")
            .change(Change::Review("signatures are verified with other keys"))
            .examples(&["{\"robot\": \"-----BEGIN PUBLIC KEY-----...\"}"]),
        Key::optional("jwks", "The URL of the public keys, a JWK Set, which is fetched as for `jwt`.", Shape::Ruled(&URL))
            .absent("none")
            .change(Change::Review("signatures are verified with other keys"))
            .examples(&["\"https://partners.example.com/keys\""]),
        Key::optional(
            "secrets",
            "Secrets that signers share with the gateway, by their ids: at least 32 bytes, as text or as `base64:...`.",
            TEXTS,
        )
        .absent("none")
        .change(Change::MoreIsLooserIf(Absence::AcceptsOthers))
        .examples(&["{\"robot\": \"${secret.ROBOT}\"}"]),
        KEYS_PRIVATE,
        Key::optional(
            "algorithms",
            "The algorithms that are accepted. An algorithm is used only with keys of its type.",
            Shape::List(&List::some_texts(Shape::Ruled(&crate::schema::texts::SIGNATURE_ALGORITHM), 6)),
        )
        .absent("those of public keys; with `secrets` hmac-sha256")
        .change(Change::MoreIsLooser)
        .examples(&["[\"ed25519\"]"]),
        Key::optional(
            "components",
            "What must be signed. `@target-uri` is also signed by `@authority`, `@path` and `@query`; `content-digest` is needed \
             only of content.",
            Shape::List(&List::some_texts(Shape::Ruled(&COMPONENT), 32)),
        )
        .absent("`@method`, `@target-uri` and `content-digest`")
        .change(Change::MoreIsStricter)
        .examples(&["[\"@method\", \"@path\", \"date\"]"]),
        Key::optional(
            "max-age",
            "How long after it was created a signature is accepted.",
            Shape::Quantity(Quantity::Duration),
        )
        .default("\"5m\"")
        .change(Change::MoreIsLooser),
        Key::optional(
            "leeway",
            "How far the clocks of signers may differ from the gateway's.",
            Shape::Quantity(Quantity::Duration),
        )
        .default("\"30s\"")
        .change(Change::MoreIsLooser),
        Key::optional("label", "The label of the signature.", Shape::Text)
            .absent("any")
            .change(Change::Required("other signatures of a request are verified"))
            .examples(&["\"sig1\""]),
        Key::optional("tag", "The `tag` of the signature, which names its purpose.", Shape::Text)
            .absent("any")
            .change(Change::Required("other signatures of a request are verified"))
            .examples(&["\"web-bot-auth\""]),
        Key::optional(
            "require",
            "Parameters that a signature must have besides `created` and `keyid`.",
            Shape::List(&List::some_texts(Shape::Word(PARAMETERS), 4)),
        )
        .absent("none")
        .change(Change::MoreIsStricter)
        .examples(&["[\"expires\"]"]),
        Key::optional("consumers", "The consumers of keys, by the ids of the keys; other keys are then refused.", TEXTS)
            .absent("the name of the policy, `:` and the id of the key")
            .change(Change::MoreIsLooser)
            .examples(&["{\"robot\": \"acme\"}"]),
        Key::optional(
            "once-within",
            "For how long the nonce of a key, or a signature without one, is refused that was accepted. At least `max-age` and \
             twice the `leeway`, up to a day.",
            Shape::Quantity(Quantity::Time),
        )
        .absent("a request is accepted as often as it arrives")
        .change(Change::MoreIsStricter)
        .examples(&["\"6m\""]),
    ],
    rules: &[Rule::OneOf(&["keys", "pem", "jwks", "secrets"])],
    examples: &["{\"kind\": \"http-signature\", \"jwks\": \"https://partners.example.com/keys\"}"],
    ..Object::PLAIN
};

const TEXTS: Shape = Shape::Named(&Named { names: &KEY_ID, of: Shape::Text, max: 64 });

const PARAMETERS: &[(&str, &str)] = &[
    ("expires", "the time at which the signature ends"),
    ("nonce", "a text that is used once; needs `once-within`"),
    ("alg", "the algorithm"),
    ("tag", "the purpose"),
];

impl Kind for HttpSignatureSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let keys = keys(written, report);
        let algorithms = algorithms(written, report);
        let components = components(written, report);
        let (age, leeway) = (written.duration_ms("max-age")?.value, written.duration_ms("leeway")?.value);
        let required = written.list("require");
        if let Some(unknown) = required.iter().find(|name| PARAMETERS.iter().all(|(own, _)| *own != name.value)) {
            let names: Vec<_> = PARAMETERS.iter().map(|(name, _)| *name).collect();
            let what = format!("`{}` is no parameter that can be required", unknown.value);
            let why = "`created` and `keyid` are always required";
            refuse(report, unknown.span, what, why, format!("write some of {}", names.join(", ")));
            return None;
        }
        let once_ms = once(written, age.saturating_add(leeway.saturating_mul(2)), report);
        if let (Some(nonce), Some(None)) = (required.iter().find(|name| name.value == "nonce"), once_ms) {
            let fix = "add `once-within`, or remove it".to_owned();
            let why = "without `once-within` nobody remembers which ones were used";
            refuse(report, nonce.span, "a nonce that is not compared with any other".to_owned(), why, fix);
            return None;
        }
        let seconds = |ms: u64| u32::try_from(ms.div_ceil(1_000)).ok();
        let (keys, algorithms) = (keys?, algorithms?);
        let owners = owners(written, &keys, report)?;
        has_key(written, &keys, &algorithms, report)?;
        Some(Self {
            keys,
            algorithms,
            components: components?,
            age_max_s: seconds(age)?,
            leeway_s: seconds(leeway)?,
            label: written.text("label").map(|label| label.value),
            tag: written.text("tag").map(|tag| tag.value),
            required: required.into_iter().map(|name| name.value).collect(),
            owners,
            once_ms: once_ms?,
        })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let text = |key, value: &str| (key, Value::Text(value.to_owned()));
        let duration = |key, seconds: u32| (key, Value::DurationMs(u64::from(seconds) * 1_000));
        let list = |key, all: &[String]| (!all.is_empty()).then(|| (key, Value::List(all.to_vec())));
        let named = |key, all: Vec<(String, Vec<String>)>| (!all.is_empty()).then_some((key, Value::Named(all)));
        let mut values = match &self.keys {
            SigningKeys::Set(url, is_private) => {
                vec![text("jwks", url), ("private-network", Value::Boolean(*is_private))]
            }
            SigningKeys::Static(set) => vec![text("keys", set)],
            SigningKeys::Secrets(ids, secrets) => {
                let all = ids.iter().zip(secrets).map(|(id, secret)| (id.clone(), vec![written_secret(secret)]));
                named("secrets", all.collect()).into_iter().collect()
            }
        };
        let known = SIGNATURE_ALGORITHMS.iter().filter(|(_, algorithm)| self.algorithms.contains(*algorithm));
        values.push(("algorithms", Value::List(known.map(|(name, _)| (*name).to_owned()).collect())));
        let components: Vec<String> = self.required_components().map(|own| own.replacen('"', "", 2)).collect();
        values.extend(list("components", &components));
        values.extend([duration("max-age", self.age_max_s), duration("leeway", self.leeway_s)]);
        values.extend(self.label.as_deref().map(|label| text("label", label)));
        values.extend(self.tag.as_deref().map(|tag| text("tag", tag)));
        values.extend(list("require", &self.required));
        let owners = self.owners.iter().map(|(key_id, consumer)| (key_id.clone(), vec![consumer.clone()]));
        values.extend(named("consumers", owners.collect()));
        values.extend(self.once_ms.map(|ms| ("once-within", Value::DurationMs(ms.get().into()))));
        values
    }
}

fn keys(written: &Written, report: &mut Report) -> Option<SigningKeys> {
    if let Some(url) = written.text("jwks") {
        let is_private = written.boolean("private-network");
        parsed::url(&url, report)?;
        if !is_private && !url.value.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("https://")) {
            let fix = "write an `https://` URL; inside a private network add `private-network: true`".to_owned();
            let why = "anyone on the way could replace them, and sign requests";
            refuse(report, url.span, "the keys are not fetched over HTTPS".to_owned(), why, fix);
            return None;
        }
        return Some(SigningKeys::Set(url.value, is_private));
    }
    if let Some(text) = written.text("keys") {
        match usable(&text.value) {
            Ok(set) => report_unused(&set, text.span, Code::BadSignaturePolicy, report),
            Err(what) => {
                let fix = "write a JWK Set as text, such as `'{\"keys\": [{\"kid\": \"a\", \"kty\": \"OKP\", ...}]}'` \
                           (RFC 7517)";
                let why = "a signature names its key, and only keys of this name are tried";
                refuse(report, text.span, format!("the keys cannot be used: {what}"), why, fix.to_owned());
                return None;
            }
        }
        return Some(SigningKeys::Static(text.value));
    }
    let named = |key| {
        written.named(key).into_iter().filter_map(|(id, texts)| {
            let text = Spanned::new(texts.into_iter().next()?, id.span);
            Some((id.value, text))
        })
    };
    let pem: Vec<_> = named("pem").collect();
    if !pem.is_empty() {
        let keys = pem.iter().map(|(id, text)| of_pem(id, text, report)).collect::<Option<Vec<_>>>()?;
        return Some(SigningKeys::Static(format!("{{\"keys\":[{}]}}", keys.join(","))));
    }
    let (ids, texts): (Vec<_>, Vec<_>) = named("secrets").unzip();
    let secrets = texts.iter().map(|text| secret(text, report)).collect::<Option<Vec<_>>>()?;
    Some(SigningKeys::Secrets(ids, secrets))
}

/// Whether all keys of a set can be used, and have ids.
fn usable(text: &str) -> Result<JwkSet, String> {
    let set = JwkSet::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    match set.unused.first() {
        Some((at, error)) if set.keys.is_empty() => Err(format!("key {}: {error}", at + 1)),
        None if set.keys.is_empty() => Err("there are none".to_owned()),
        _ if set.keys.iter().any(|key| key.id.is_none()) => Err("a key has no `kid`".to_owned()),
        _ => Ok(set),
    }
}

/// The consumers of keys. A key that is not there would be nobody's.
fn owners(written: &Written, keys: &SigningKeys, report: &mut Report) -> Option<Vec<(String, String)>> {
    let known: Option<Vec<String>> = match keys {
        SigningKeys::Set(..) => None,
        SigningKeys::Secrets(ids, _) => Some(ids.clone()),
        SigningKeys::Static(text) => {
            JwkSet::parse(text.as_bytes()).ok().map(|set| set.keys.into_iter().filter_map(|key| key.id).collect())
        }
    };
    let mut owners = Vec::new();
    for (key_id, consumer) in written.named("consumers") {
        if let Some(known) = known.as_ref().filter(|known| !known.contains(&key_id.value)) {
            let fix = format!("write the id of a key ({}), or add the key", known.join(", "));
            let why = "`consumers` says whose the keys of the policy are";
            refuse(report, key_id.span, format!("the policy has no key `{}`", key_id.value), why, fix);
            return None;
        }
        let consumer = consumer.into_iter().next()?;
        if !can_be_consumer(&consumer, key_id.span, Code::BadSignaturePolicy, report) {
            return None;
        }
        owners.push((key_id.value, consumer));
    }
    Some(owners)
}

/// Whether one of the keys is for one of the algorithms; of keys that are fetched it is not known.
fn has_key(written: &Written, keys: &SigningKeys, algorithms: &Algorithms, report: &mut Report) -> Option<()> {
    let SigningKeys::Static(text) = keys else { return Some(()) };
    let set = JwkSet::parse(text.as_bytes()).ok()?;
    if algorithms.iter().any(|algorithm| set.candidates(algorithm, None).next().is_some()) {
        return Some(());
    }
    let span = ["algorithms", "keys", "pem"].iter().find_map(|key| written.written(key))?.span;
    let fix = "add the algorithm of a key, or a key of the algorithm".to_owned();
    refuse(report, span, "none of the keys is for these algorithms".to_owned(), "no signature could be right", fix);
    None
}

fn of_pem(id: &str, text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let found = jwk_of(&text.value, id);
    if found.is_none() {
        let fix = "write a public key, such as that of `openssl pkey -in key.pem -pubout`".to_owned();
        let why = "it is a PEM text `PUBLIC KEY` with a key of RSA (2048 to 4096 bits), P-256, P-384 or Ed25519";
        refuse(report, text.span, format!("the key `{id}` cannot be used"), why, fix);
    }
    found
}

fn algorithms(written: &Written, report: &mut Report) -> Option<Algorithms> {
    let is_shared = written.written("secrets").is_some();
    let is_for_keys = |algorithm: Algorithm| (algorithm.key_type() == KeyType::Octets) == is_shared;
    if written.written("algorithms").is_none() {
        let all = SIGNATURE_ALGORITHMS.iter().map(|(_, algorithm)| *algorithm);
        return Some(all.filter(|algorithm| is_for_keys(*algorithm)).collect());
    }
    let mut all = Vec::new();
    for name in written.list("algorithms") {
        let known = SIGNATURE_ALGORITHMS.iter().find(|(own, _)| *own == name.value);
        match known.filter(|(_, algorithm)| is_for_keys(*algorithm)) {
            Some((_, algorithm)) => all.push(*algorithm),
            None => {
                let kind =
                    if is_shared { "`secrets` are for hmac-sha256" } else { "public keys are not for hmac-sha256" };
                let names: Vec<_> = SIGNATURE_ALGORITHMS.iter().map(|(name, _)| *name).collect();
                let fix = format!("write some of {}", names.join(", "));
                refuse(report, name.span, format!("`{}` is not an algorithm of these keys", name.value), kind, fix);
                return None;
            }
        }
    }
    Some(all.into_iter().collect())
}

fn components(written: &Written, report: &mut Report) -> Option<Vec<String>> {
    let all = written.list("components");
    let read: Vec<String> = all
        .iter()
        .filter_map(|name| {
            let found = component(&name.value).ok();
            if found.is_none() {
                let what = format!("`{}` is no component of a request", name.value);
                let why = "components are fields in lower case, `@method`, `@target-uri`, `@authority`, `@scheme`, `@request-target`, \
                           `@path`, `@query` and `@query-param;name=\"...\"` with the name as it is encoded in a URL (RFC 9421, section 2)";
                refuse(report, name.span, what, why, "write one of these".to_owned());
            }
            found
        })
        .collect();
    (read.len() == all.len()).then_some(read)
}

#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn once(written: &Written, least: u64, report: &mut Report) -> Option<Option<NonZeroU32>> {
    let Some(window) = written.duration_ms("once-within") else { return Some(None) };
    if !(least..=ONCE_MS_MAX).contains(&window.value) {
        let what = "requests are remembered for a time that is too short or too long".to_owned();
        let why = "a request can be sent again until `max-age` and the `leeway` on both sides have passed; and each one takes room \
                   for a while";
        let fix = format!("write a time from {} to 24h", crate::schema::written::duration(least.max(1_000)));
        refuse(report, window.span, what, why, fix);
        return None;
    }
    Some(u32::try_from(window.value).ok().and_then(NonZeroU32::new))
}
