//! Signs the request of a step as the sender of a webhook does.

use http::{HeaderName, HeaderValue, Request};
use tollgate_core::authn::WebhookSettings;
use tollgate_core::jose::KeyMaterial;
use tollgate_core::kinds::AuthnPolicy;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::{Clock, Secrets};

use super::stage::{Bench, Stage};

/// Adds the fields of the signature; `Err` says what the project or the file lacks.
pub(super) fn sign(
    stage: &Stage<'_>,
    bench: &Bench,
    policy: &str,
    request: &mut Request<Content>,
) -> Result<(), String> {
    let mut policies = stage.compiled.whole().policies.authn.iter();
    let settings = policies.find_map(|named| match &named.policy {
        AuthnPolicy::Webhook(settings) if named.name == *policy => Some(settings),
        _ => None,
    });
    let settings =
        settings.ok_or_else(|| format!("a request that nobody can sign: `{policy}` is no webhook policy"))?;
    for (name, value) in webhook(settings, bench, policy, request)? {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(format!("a request whose signature of `{policy}` is no value of a field"));
        };
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

fn webhook(
    settings: &WebhookSettings,
    bench: &Bench,
    policy: &str,
    request: &Request<Content>,
) -> Result<Vec<(String, String)>, String> {
    let clock = &bench.host.clock;
    let value_of = |name: &str| clock.drive(bench.host.secrets.secret(name)).and_then(Result::ok).flatten();
    let secret = settings.secrets.first().and_then(|text| text.resolve(value_of));
    let secret =
        secret.ok_or_else(|| format!("a request that nobody can sign: the secret of `{policy}` has no value"))?;
    let key =
        settings.key(&secret).map_err(|error| format!("a request that cannot be signed for `{policy}`: {error}"))?;
    let KeyMaterial::Octets(shared) = key.material else {
        return Err(format!("a request that cannot be signed for `{policy}`: its key is public"));
    };
    let sign = |algorithm, message: &[u8]| tollgate_signatures::hmac(algorithm, &shared, message).unwrap_or_default();
    Ok(settings.fields_of(MESSAGE_ID, clock.now(), request.body().bytes(), sign))
}

/// The id of a message, where the sender sends one.
const MESSAGE_ID: &str = "msg_test";
