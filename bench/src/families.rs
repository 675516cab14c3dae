//! What each kind of policy and each family of signatures adds to a module: the code that only it reaches.
//!
//! A family is a list of modules and crates. Without its functions, the functions that only they call are not reached either: both
//! together are what the module would lose, at least. What the compiler has inlined into the code of others is not counted.

use std::collections::BTreeSet;

/// What is asked for: a name, and the paths of the functions that belong to it.
pub(crate) type Family = (&'static str, &'static [&'static str]);

/// The functions of a module, in the order of their indices.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) functions: Vec<Function>,
    /// The functions that are called from outside, or by their place in a table.
    pub(crate) roots: BTreeSet<u32>,
}

/// A function of a module.
#[derive(Debug, Default)]
pub(crate) struct Function {
    /// The path that it belongs to.
    pub(crate) path: String,
    /// 0 if it is imported.
    pub(crate) bytes: u64,
    pub(crate) calls: BTreeSet<u32>,
}

impl Graph {
    /// What each of these families adds, in bytes of code, in their order; `None` if nothing of it is in the module.
    fn added(&self, families: &[Family]) -> Vec<Option<u64>> {
        let whole = self.reached(&[]);
        let added = families.iter().map(|(_, paths)| {
            let has_any = self.functions.iter().any(|function| function.bytes > 0 && is_of(&function.path, paths));
            has_any.then(|| whole - self.reached(paths))
        });
        added.collect()
    }

    /// The bytes of the functions that are reached, if those of these paths do not exist.
    fn reached(&self, without: &[&str]) -> u64 {
        let mut is_seen = vec![false; self.functions.len()];
        let mut next: Vec<u32> = self.roots.iter().copied().collect();
        let mut bytes = 0;
        while let Some(index) = next.pop() {
            let Some(function) = self.functions.get(index as usize) else { continue };
            if std::mem::replace(&mut is_seen[index as usize], true) || is_of(&function.path, without) {
                continue;
            }
            bytes += function.bytes;
            next.extend(&function.calls);
        }
        bytes
    }

    /// The families of this module, as a table; `compressed` is the part of its code that remains of it in a deployment.
    pub(crate) fn table(&self, families: &[Family], compressed: f64) -> String {
        let mut out = String::new();
        for ((name, _), bytes) in families.iter().zip(self.added(families)) {
            let line = match bytes {
                None => format!("{name:<36}      -\n"),
                Some(bytes) => {
                    #[expect(clippy::cast_precision_loss, reason = "sizes of some megabytes")]
                    let kib = bytes as f64 / 1024.0;
                    format!("{name:<36} {kib:>6.1} {:>6.1}\n", kib * compressed)
                }
            };
            out.push_str(&line);
        }
        out
    }
}

/// Whether a path is one of these, or below one.
fn is_of(path: &str, all: &[&str]) -> bool {
    let is_below = |one: &&str| path.strip_prefix(*one).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    all.iter().any(is_below)
}

/// Kinds of policies and other parts of identity.
pub(crate) const IDENTITY: &[Family] = &[
    ("api-key", &["tollgate_core::authn::api_key", "tollgate_edge::policies::api_key"]),
    ("anonymous", &["tollgate_core::authn::anonymous", "tollgate_edge::policies::anonymous"]),
    ("basic", &["tollgate_core::authn::basic", "tollgate_core::authn::password", "tollgate_edge::policies::basic"]),
    ("jwt", &["tollgate_core::authn::jwt", "tollgate_edge::policies::jwt", "tollgate_edge::isolate::tokens"]),
    (
        "introspection",
        &[
            "tollgate_core::authn::introspection",
            "tollgate_edge::policies::introspection",
            "tollgate_edge::isolate::introspected",
        ],
    ),
    (
        "oidc-login",
        &[
            "tollgate_core::authn::oidc_login",
            "tollgate_edge::policies::login",
            "tollgate_edge::policies::oidc_login",
            "tollgate_edge::pipeline::login",
            "tollgate_edge::isolate::sessions",
            "tollgate_edge::isolate::sealed",
        ],
    ),
    ("webhook", &["tollgate_core::authn::webhook", "tollgate_edge::policies::webhook"]),
    ("http-signature", &["tollgate_core::authn::http_signature", "tollgate_edge::policies::http_signature"]),
    (
        "client-certificate, with x509",
        &[
            "tollgate_core::authn::client_certificate",
            "tollgate_core::x509",
            "tollgate_edge::policies::client_certificate",
            "tollgate_cloudflare::certificate",
        ],
    ),
    ("bound tokens (DPoP, RFC 8705)", &["tollgate_core::authn::binding", "tollgate_edge::policies::binding"]),
    (
        "outages of providers",
        &[
            "tollgate_core::outage",
            "tollgate_core::operator::outages",
            "tollgate_edge::policies::outage",
            "tollgate_edge::operator::outages",
            "tollgate_edge::isolate::outages",
        ],
    ),
    (
        "linked identities",
        &["tollgate_core::authn::links", "tollgate_edge::policies::linked", "tollgate_edge::isolate::people"],
    ),
    ("tokens, keys and JSON of JOSE", &["tollgate_core::jose"]),
    ("the gateway as an OAuth client", &["tollgate_core::oauth", "tollgate_edge::isolate::oauth"]),
    (
        "tokens of the gateway",
        &[
            "tollgate_edge::isolate::identity_tokens",
            "tollgate_edge::isolate::signers",
            "tollgate_edge::pipeline::keys",
        ],
    ),
    (
        "credentials for upstreams",
        &[
            "tollgate_edge::pipeline::upstream_auth",
            "tollgate_edge::isolate::upstream_tokens",
            "tollgate_edge::isolate::aws_keys",
        ],
    ),
    ("access", &["tollgate_core::authz::access"]),
    ("condition, with expressions", &["tollgate_core::authz::condition", "tollgate_core::expression"]),
    (
        "external",
        &["tollgate_core::authz::external", "tollgate_edge::pipeline::external", "tollgate_edge::isolate::decisions"],
    ),
    ("ip-filter", &["tollgate_core::guard"]),
    ("rate-limit", &["tollgate_core::limit", "tollgate_edge::pipeline::limit"]),
    ("signatures: calls of WebCrypto", &["tollgate_cloudflare::ports::signatures"]),
    ("the operator's endpoint", &["tollgate_core::operator", "tollgate_edge::operator"]),
];

/// Families of signatures of a host that has them in software.
pub(crate) const SIGNATURES: &[Family] = &[
    ("RSA", &["rsa", "num_bigint_dig", "jwt_compact::alg::rsa"]),
    ("P-256", &["p256", "jwt_compact::alg::p256"]),
    ("P-384", &["p384", "tollgate_signatures::es384"]),
    ("P-256 and P-384", &P_CURVES),
    ("Ed25519", &["ed25519_dalek", "ed25519", "curve25519_dalek", "jwt_compact::alg::eddsa_dalek"]),
    ("HMAC", &["hmac", "jwt_compact::alg::hmacs"]),
    ("encryption of cookies", &["aes_gcm", "aes", "ghash", "polyval", "ctr", "tollgate_signatures::sealing"]),
    ("passwords (argon2id, bcrypt)", &["argon2", "bcrypt", "blowfish", "blake2", "tollgate_signatures::password"]),
    ("all of them", &["tollgate_signatures", "jwt_compact"]),
];

/// The curves of NIST, with what both need.
const P_CURVES: [&str; 7] =
    ["p256", "p384", "primeorder", "ecdsa", "elliptic_curve", "jwt_compact::alg::p256", "tollgate_signatures::es384"];

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(functions: &[(&str, u64, &[u32])], roots: &[u32]) -> Graph {
        let function = |(path, bytes, calls): &(&str, u64, &[u32])| Function {
            path: (*path).to_owned(),
            bytes: *bytes,
            calls: calls.iter().copied().collect(),
        };
        Graph { functions: functions.iter().map(function).collect(), roots: roots.iter().copied().collect() }
    }

    #[test]
    fn a_family_adds_what_only_it_reaches() {
        let module = graph(
            &[
                ("edge::serve", 100, &[1, 2]),
                ("core::jwt::verify", 10, &[3, 4]),
                ("core::basic::verify", 7, &[4]),
                ("base64::decode", 5, &[3]),
                ("memcpy", 3, &[]),
                ("core::jwt::dead", 50, &[]),
            ],
            &[0],
        );
        let families: &[Family] = &[
            ("jwt", &["core::jwt"]),
            ("basic", &["core::basic"]),
            ("both", &["core::jwt", "core::basic"]),
            ("rsa", &["rsa"]),
        ];
        assert_eq!(module.added(families), [Some(15), Some(7), Some(25), None]);
        let table = module.table(families, 0.5);
        assert!(table.starts_with(&format!("{:<36} {:>6.1} {:>6.1}\n", "jwt", 15.0 / 1024.0, 7.5 / 1024.0)), "{table}");
        assert!(table.ends_with(&format!("{:<36}      -\n", "rsa")), "{table}");
    }

    #[test]
    fn a_function_in_a_table_is_lost_with_its_family() {
        let module = graph(&[("edge::serve", 100, &[]), ("core::jwt::Debug", 9, &[2]), ("fmt::pad", 4, &[])], &[0, 1]);
        assert_eq!(module.added(&[("jwt", &["core::jwt"])]), [Some(13)]);
    }

    #[test]
    fn a_family_is_named_by_whole_segments() {
        assert!(is_of("core::jwt", &["core::jwt"]) && is_of("core::jwt::x", &["core::jwt"]));
        assert!(!is_of("core::jwt_keys", &["core::jwt"]) && !is_of("core", &["core::jwt"]));
    }
}
