//! Signs the request of a step as the sender that a policy expects does.

use http::header::HOST;
use http::{HeaderName, HeaderValue, Request};
use tollgate_core::authn::{HttpSignatureSettings, SignedRequest, SigningKeys, WebhookSettings, shared_key};
use tollgate_core::jose::{Algorithm, KeyMaterial};
use tollgate_core::kinds::AuthnPolicy;
use tollgate_core::secret::{Secret, SecretText};
use tollgate_edge::memory::Content;
use tollgate_edge::ports::{Clock, Secrets};

use super::stage::{Bench, Stage};

/// Adds the fields of the signature; `Err` says what the project or the file lacks.
pub(super) fn sign(
    stage: &Stage<'_>,
    bench: &Bench,
    policy: &str,
    https: bool,
    request: &mut Request<Content>,
) -> Result<(), String> {
    let mut policies = stage.compiled.whole().policies.authn.iter();
    let found = policies.find(|named| named.name == *policy).map(|named| &named.policy);
    let fields = match found {
        Some(AuthnPolicy::Webhook(settings)) => webhook(settings, bench, request),
        Some(AuthnPolicy::HttpSignature(settings)) => http_signature(settings, bench, https, request),
        _ => Err("it is no policy for signed requests".to_owned()),
    };
    let unsigned = |why: String| format!("a request that cannot be signed for `{policy}`: {why}");
    for (name, value) in fields.map_err(unsigned)? {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(unsigned("the signature is no value of a field".to_owned()));
        };
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

type Fields = Result<Vec<(String, String)>, String>;

fn webhook(settings: &WebhookSettings, bench: &Bench, request: &Request<Content>) -> Fields {
    let key = settings.key(&first_of(&settings.secrets, bench)?).map_err(|error| error.to_string())?;
    let KeyMaterial::Octets(shared) = key.material else {
        return Err("its key is public".to_owned());
    };
    let sign = |algorithm, message: &[u8]| tollgate_signatures::hmac(algorithm, &shared, message).unwrap_or_default();
    Ok(settings.fields_of(MESSAGE_ID, bench.host.clock.now(), request.body().bytes(), sign))
}

fn http_signature(settings: &HttpSignatureSettings, bench: &Bench, https: bool, request: &Request<Content>) -> Fields {
    let SigningKeys::Secrets(ids, secrets) = &settings.keys else {
        return Err("its keys are public; write the fields of a signature under `headers`".to_owned());
    };
    let key_id = ids.first().map(String::as_str).unwrap_or_default();
    let key = shared_key(key_id, &first_of(secrets, bench)?).map_err(|error| error.to_string())?;
    let KeyMaterial::Octets(shared) = key.material else { return Err("its key is public".to_owned()) };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let of = SignedRequest {
        method: request.method().as_str(),
        https,
        authority: host,
        path: request.uri().path(),
        query: request.uri().query(),
        fields: request.headers(),
        trailers: None,
        joins_lines: false,
    };
    let sign = |base: &[u8]| tollgate_signatures::hmac(Algorithm::Hs256, &shared, base).unwrap_or_default();
    let fields = settings.fields_of(key_id, &of, request.body().bytes(), bench.host.clock.now(), sign);
    let fields = fields.map_err(|error| error.to_string())?;
    Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(super) fn first_of(secrets: &[SecretText], bench: &Bench) -> Result<Secret, String> {
    let host = &bench.host;
    let value_of = |name: &str| host.clock.drive(host.secrets.secret(name)).and_then(Result::ok).flatten();
    let secret = secrets.first().and_then(|text| text.resolve(value_of));
    secret.ok_or_else(|| "its secret has no value".to_owned())
}

/// The id of a message, where the sender sends one.
const MESSAGE_ID: &str = "msg_test";
