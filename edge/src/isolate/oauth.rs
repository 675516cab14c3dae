//! Requests of the gateway to authorization servers.

use bytes::Bytes;
use http::{Method, Uri};
use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::jose::{SigningKey, signed, signing_input};
use tollgate_core::oauth::{ClientAuthentication, ClientRequest, Proof, assertion_claims};
use tollgate_core::secret::Secret;

use super::Isolate;
use super::secrets::resolve;
use crate::ports::{Entropy, Fetch, Host, Signatures};
use crate::timeout::within;

/// A server that the gateway asks as its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuthorizationServer<'s> {
    /// The URL of its endpoint.
    pub(crate) url: &'s str,
    /// Whether it may have an address that is not public.
    pub(crate) is_private: bool,
    /// For whom assertions of the gateway are.
    pub(crate) audience: &'s str,
    /// How the gateway proves who it is.
    pub(crate) client: &'s ClientAuthentication,
}

/// Why there is no answer that can be used. The text is for the operator; it contains no secret and no parameter.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) why: String,
    /// Whether it is about this question: the server may answer others, so nobody can make it unavailable for them.
    pub(crate) is_of_question: bool,
}

impl From<String> for Unanswered {
    fn from(why: String) -> Self {
        Self { why, is_of_question: false }
    }
}

impl From<&str> for Unanswered {
    fn from(why: &str) -> Self {
        Self::from(why.to_owned())
    }
}

impl AuthorizationServer<'_> {
    /// Its answer of this type to these parameters.
    pub(crate) async fn ask<H: Host>(
        &self,
        isolate: &Isolate,
        host: &H,
        parameters: &[(&str, &str)],
        accept: &'static str,
    ) -> Result<FetchAnswer, Unanswered> {
        let url: Uri = self.url.parse().map_err(|_| "the URL is not valid")?;
        // Anyone on the way could read secrets and tokens, and answer in place of the server.
        if url.scheme_str() != Some("https") && !self.is_private {
            return Err("the URL is not one of https".into());
        }
        let secret = self.client.secret();
        let value = resolve(isolate, host, secret).await.map_err(|away| away.0)?;
        let value = value.ok_or_else(|| {
            format!("a secret has no value on this host: {}", secret.secret_names().collect::<Vec<_>>().join(", "))
        })?;
        let assertion;
        let proof = match self.client {
            ClientAuthentication::Basic(id, _) => Proof::Basic(id, &value),
            ClientAuthentication::Post(id, _) => Proof::Post(id, &value),
            ClientAuthentication::Bearer(_) => Proof::Bearer(&value),
            ClientAuthentication::PrivateKey(id, _) => {
                assertion = self.assertion(isolate, host, id, &value).await?;
                Proof::Assertion(&assertion)
            }
        };
        let sent = ClientRequest::new(parameters, accept, proof);
        let ClientRequest { fields, content } =
            sent.ok_or("the client's secret has characters that a header field must not have")?;
        let request = FetchRequest { method: Method::POST, url, fields, content: Bytes::from(content) };
        let addresses = AddressRule::with_private(self.is_private);
        let bounds = FetchBounds { timeout_ms: TIMEOUT_MS, answer_bytes_max: ANSWER_BYTES_MAX, addresses };
        let answer = host.fetch().fetch(&request, &bounds).await;
        // How much it says depends on what it is asked about.
        answer.map_err(|error| Unanswered { why: error.to_string(), is_of_question: error == FetchError::TooLarge })
    }
}

impl AuthorizationServer<'_> {
    /// An assertion that the client of this id signs with its private key (RFC 7523, section 2.2).
    async fn assertion<H: Host>(&self, isolate: &Isolate, host: &H, id: &str, key: &Secret) -> Result<String, String> {
        let key = SigningKey::parse(key.expose().as_bytes())
            .map_err(|error| format!("the client's private key cannot be used: {error}"))?;
        let mut random = [0; 16];
        host.entropy().fill(&mut random);
        let claims = assertion_claims(id, self.audience, &random, isolate.time(host.clock()));
        let input = signing_input(&key, "JWT", &claims);
        let signing = host.signatures().signs(&key, input.as_bytes());
        let signature = within(host, "the signing of assertions", signing).await.map_err(|away| away.0)?;
        Ok(signed(&input, &signature))
    }
}

/// The maximum time of an answer.
pub(crate) const TIMEOUT_MS: u64 = 3_000;

/// Servers answer with less than 2 KiB; claims with hundreds of groups fit.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
