//! The grammar of record keys: `<gateway>:<kind>[:<name>]`.
//!
//! The gateway's name comes first, so that several gateways can share one store. It contains no colon, so no gateway
//! can access another's records. Keys stay below 512 bytes, the limit of Workers KV.

use tollgate_core::authn::KeyDigest;

use crate::Id;

/// The pointer to the active bundle.
#[must_use]
pub fn active(gateway: &str) -> String {
    format!("{gateway}:config:active")
}

/// The manifest of a bundle.
#[must_use]
pub fn manifest(gateway: &str, bundle: &Id) -> String {
    format!("{gateway}:manifest:{bundle}")
}

/// One part of a bundle.
#[must_use]
pub fn part(gateway: &str, part: &Id) -> String {
    format!("{gateway}:part:{part}")
}

/// The credential of a key.
#[must_use]
pub fn credential(gateway: &str, digest: &KeyDigest) -> String {
    format!("{gateway}:credential:{}", digest.to_hex())
}

/// The beginning of the keys of all credentials.
#[must_use]
pub fn credentials(gateway: &str) -> String {
    format!("{gateway}:credential:")
}

/// The digest in the key of a credential, or of its entry in the index of its consumer.
#[must_use]
pub fn digest_of(key: &str) -> Option<KeyDigest> {
    KeyDigest::parse(key.rsplit_once(':')?.1)
}

/// The beginning of the keys of the index of a consumer's credentials.
///
/// Each credential has an entry of its own, so that two that are created at once do not lose one of them.
#[must_use]
pub fn credentials_of(gateway: &str, consumer: &str) -> String {
    format!("{gateway}:consumer-key:{consumer}:")
}

/// The entry of a credential in the index of its consumer. The digest is in the key, so that a list shows it.
#[must_use]
pub fn credential_of(gateway: &str, consumer: &str, digest: &KeyDigest) -> String {
    format!("{gateway}:consumer-key:{consumer}:{}", digest.to_hex())
}

/// The purges of the response cache.
#[must_use]
pub fn purges(gateway: &str) -> String {
    format!("{gateway}:purges")
}

/// An answer that the gateway itself fetched, named by the digest of its request and bounds.
#[must_use]
pub fn fetched(gateway: &str, plan: &Id) -> String {
    format!("{gateway}:fetched:{plan}")
}

/// What operators have said about outages of the provider of a policy.
#[must_use]
pub fn idp_outage(gateway: &str, policy: &str) -> String {
    format!("{gateway}:idp-outage:{policy}")
}

/// The record of a token that a policy has verified, by the digest of the token.
#[must_use]
pub fn known_token(gateway: &str, policy: &str, digest: &str) -> String {
    format!("{gateway}:known-token:{policy}:{digest}")
}

/// What is kept of a session of a browser beside its cookie.
#[must_use]
pub fn session(gateway: &str, policy: &str, id: &str) -> String {
    format!("{gateway}:session:{policy}:{id}")
}

/// The record of the sessions of a policy that ended before their time: of a session at the provider or a person, by what stands for it.
#[must_use]
pub fn sessions_end(gateway: &str, policy: &str, mark: &str) -> String {
    format!("{gateway}:sessions-end:{policy}:{mark}")
}

/// The products and plans of the gateway.
#[must_use]
pub fn catalogue(gateway: &str) -> String {
    format!("{gateway}:catalogue")
}

/// The beginning of the keys of the entries that the catalogue is made of.
#[must_use]
pub fn catalogue_entries(gateway: &str) -> String {
    format!("{gateway}:catalogue-entry:")
}

/// The entry of a product or a plan: two that are written at once do not lose one of them.
#[must_use]
pub fn catalogue_entry(gateway: &str, kind: &str, name: &str) -> String {
    format!("{gateway}:catalogue-entry:{kind}-{name}")
}

/// The subscriptions and grants of a consumer.
#[must_use]
pub fn entitlements(gateway: &str, consumer: &str) -> String {
    format!("{gateway}:entitlements:{consumer}")
}

/// The beginning of the keys of the subscriptions and grants of all consumers.
#[must_use]
pub fn all_entitlements(gateway: &str) -> String {
    format!("{gateway}:entitlements:")
}

/// The beginning of the keys of the entries that a consumer's subscriptions and grants are made of.
#[must_use]
pub fn entitlement_entries(gateway: &str, consumer: &str) -> String {
    format!("{gateway}:entitlement-entry:{consumer}:")
}

/// The entry of a subscription or a grant.
#[must_use]
pub fn entitlement_entry(gateway: &str, consumer: &str, id: &str) -> String {
    format!("{gateway}:entitlement-entry:{consumer}:{id}")
}

/// The beginning of the keys of usage, of all hours or of those that begin like this: `2026-11`.
#[must_use]
pub fn usage_of(gateway: &str, hours: &str) -> String {
    format!("{gateway}:usage:{hours}")
}

/// A batch of usage of an hour.
#[must_use]
pub fn usage(gateway: &str, hour: &str, batch: &str) -> String {
    format!("{gateway}:usage:{hour}:{batch}")
}

/// Whether the record under the key is a batch of usage: no other record may push it out.
#[must_use]
pub fn is_usage(key: &str) -> bool {
    key.split(':').nth(1) == Some("usage")
}

/// Whether the gateway itself writes records under the key; all other records are written by publishing.
#[must_use]
pub fn is_written_at_edge(key: &str) -> bool {
    matches!(key.split(':').nth(1), Some("audit" | "fetched" | "known-token" | "session" | "sessions-end" | "usage"))
}

/// Whether records under the key are purges of a response cache.
#[must_use]
pub fn is_purges(key: &str) -> bool {
    key.split_once(':').is_some_and(|(_, kind)| kind == "purges")
}

/// Whether the record under the key has products, plans, subscriptions and grants.
#[must_use]
pub fn is_entitlements(key: &str) -> bool {
    matches!(key.split(':').nth(1), Some("catalogue" | "catalogue-entry" | "entitlements" | "entitlement-entry"))
}

/// Whether the record under the key says what is known of outages.
#[must_use]
pub fn is_idp_outage(key: &str) -> bool {
    key.split(':').nth(1) == Some("idp-outage")
}

/// Whether the record under the key is a credential.
#[must_use]
pub fn is_credential(key: &str) -> bool {
    key.split(':').nth(1) == Some("credential")
}

/// Whether a running gateway writes records without an expiry under the key: credentials, their indexes by id and by consumer,
/// their last uses, what consumers are entitled to, outages of identity providers, and purges.
#[must_use]
pub fn is_kept(key: &str) -> bool {
    matches!(
        key.split(':').nth(1),
        Some(
            "catalogue"
                | "catalogue-entry"
                | "consumer-key"
                | "credential"
                | "entitlement-entry"
                | "entitlements"
                | "idp-outage"
                | "key-id"
                | "key-use"
                | "purges"
        )
    )
}

/// The record with the digest of the key that has this public id.
#[must_use]
pub fn key_index(gateway: &str, id: &str) -> String {
    format!("{gateway}:key-id:{id}")
}

/// The record of the last use of the key that has this public id.
#[must_use]
pub fn key_use(gateway: &str, id: &str) -> String {
    format!("{gateway}:key-use:{id}")
}

/// The record of one call of the operator endpoint; the action says what was asked for, such as `key.revoke`.
///
/// Stores with a bound keep so many records of each action, so that many calls of one kind do not push out the records of another.
#[must_use]
pub fn audit(gateway: &str, action: &str, request_id: &str) -> String {
    format!("{gateway}:audit:{action}:{request_id}")
}

/// Whether the text can be a gateway's name: 1 to 40 lower-case letters, digits and hyphens, beginning with a letter.
#[must_use]
pub fn is_gateway_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
