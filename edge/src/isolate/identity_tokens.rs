//! The tokens in which this isolate tells upstreams who callers are: each is sent until half of its time is over.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use bytes::Bytes;
use http::HeaderValue;
use rustc_hash::FxHasher;
use tollgate_core::authn::TextMark;
use tollgate_core::bounds::TOKENS_REMEMBERED_MAX;
use tollgate_core::forward::{TokenSigning, identity_claims};
use tollgate_core::jose::{SigningKey, signed, signing_input};
use tollgate_core::secret::Secret;
use tollgate_core::time::MonotonicInstant;

use super::Isolate;
use super::room::make_room;
use super::secrets::resolve_all;
use crate::ports::{Clock, Entropy, Host, Signatures};
use crate::timeout::within;

/// Tokens as they are sent, by what they say and whether their scheme is before them, each with the instant from which it is not sent
/// again.
pub(crate) type IdentityTokens =
    HashMap<(TextMark, bool), (HeaderValue, MonotonicInstant), BuildHasherDefault<FxHasher>>;

/// A token with these claims, after its scheme if it is sent as a bearer token. An error is for the operator.
pub(crate) async fn identity_token<H: Host>(
    isolate: &Isolate,
    host: &H,
    signing: &TokenSigning,
    claims: &[u8],
    is_bearer: bool,
) -> Result<HeaderValue, String> {
    let lines = lines(isolate, host, signing).await?;
    let line = lines.first().ok_or("its secret has no value on this host")?;
    // A key that is replaced signs nothing more that is sent.
    let said = [claims, line.expose().as_bytes()].concat();
    let mark = (TextMark::of_bytes(&said, &isolate.mark_secret(host)), is_bearer);
    let now = host.clock().instant();
    if let Some((token, until)) = isolate.identity_tokens.borrow().get(&mark)
        && now < *until
    {
        return Ok(token.clone());
    }
    let key = &parsed(line)?;
    let mut random = [0; 16];
    host.entropy().fill(&mut random);
    let claims = std::str::from_utf8(claims).map_err(|_| "the claims are no text")?;
    let claims = identity_claims(claims, &random, isolate.time(host.clock()), signing.lifetime_s);
    let input = signing_input(key, "JWT", &claims);
    let signature = host.signatures().signs(key, input.as_bytes());
    let signature = within(host, "the signing of tokens", signature).await.map_err(|away| away.0)?;
    let scheme = if is_bearer { "Bearer " } else { "" };
    let token = [scheme, &signed(&input, &signature)].concat();
    let mut token =
        HeaderValue::from_maybe_shared(Bytes::from(token)).map_err(|_| "the token is no value of a field")?;
    token.set_sensitive(true);
    let until = now.plus_millis(u64::from(signing.lifetime_s) * 500);
    let mut tokens = isolate.identity_tokens.borrow_mut();
    make_room(&mut tokens, TOKENS_REMEMBERED_MAX, |(_, until)| now < *until);
    tokens.insert(mark, (token.clone(), until));
    Ok(token)
}

/// The keys of the gateway: the first one signs, all are published. One behind it that cannot be used is left out, so that a
/// rotation that begins with a mistake changes nothing. An error is for the operator.
pub(crate) async fn signing_keys<H: Host>(
    isolate: &Isolate,
    host: &H,
    signing: &TokenSigning,
) -> Result<Vec<SigningKey>, String> {
    let lines = lines(isolate, host, signing).await?;
    let (first, others) = lines.split_first().ok_or("its secret has no value on this host")?;
    let mut keys = vec![parsed(first)?];
    keys.extend(others.iter().filter_map(|line| parsed(line).ok()));
    Ok(keys)
}

/// The values of the secret with the keys.
async fn lines<H: Host>(isolate: &Isolate, host: &H, signing: &TokenSigning) -> Result<Vec<Secret>, String> {
    let values = resolve_all(isolate, host, &signing.key).await.map_err(|away| away.0)?;
    values.ok_or_else(|| {
        let names = signing.key.secret_names().collect::<Vec<_>>().join(", ");
        ["the secret ", &names, " has no value on this host"].concat()
    })
}

fn parsed(line: &Secret) -> Result<SigningKey, String> {
    let key = SigningKey::parse(line.expose().as_bytes()).map(SigningKey::named);
    key.map_err(|error| {
        format!("the key cannot be used: {error}; it is a private JWK of Ed25519 or P-256, on one line")
    })
}
