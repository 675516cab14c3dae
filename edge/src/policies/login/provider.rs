//! The provider of a policy: its services, and what it answers.

use http::StatusCode;
use tollgate_core::authn::OidcLoginSettings;
use tollgate_core::fetch::AddressRule;
use tollgate_core::jose::Members;

use crate::isolate::Isolate;
use crate::isolate::fetched::{Meaning, fetched};
use crate::isolate::issuer::{answer, metadata};
use crate::isolate::oauth::AuthorizationServer;
use crate::ports::Host;

/// The services that a provider's metadata name (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug)]
pub(crate) struct OpenIdProvider {
    /// Where people log in.
    pub(crate) authorization: String,
    token: String,
    /// Where people log out.
    pub(crate) end_session: Option<String>,
    /// Whether its answers to browsers say who it is (RFC 9207).
    pub(crate) says_issuer: bool,
}

impl OpenIdProvider {
    /// That of a policy. An error is for the operator.
    pub(crate) async fn of<H: Host>(settings: &OidcLoginSettings, isolate: &Isolate, host: &H) -> Result<Self, String> {
        let issuer = settings.rules.issuers.first().map(String::as_str).unwrap_or_default();
        let failed = |why: String| format!("the metadata of the issuer: {why}");
        let plan = metadata(issuer, AddressRule::with_private(settings.is_private)).map_err(failed)?;
        let found = answer(isolate, fetched(isolate, host, &plan).await).map_err(failed)?;
        let Meaning::Services(services) = &found.meaning else {
            return Err(failed("they name no services".to_owned()));
        };
        let is_allowed = |url: &&http::Uri| url.scheme_str() == Some("https") || settings.is_private;
        let url = |url: &Option<http::Uri>| url.as_ref().filter(is_allowed).map(ToString::to_string);
        let needed = |name: &str, own| url(own).ok_or_else(|| failed(format!("they name no {name} of https")));
        Ok(Self {
            authorization: needed("authorization_endpoint", &services.authorization)?,
            token: needed("token_endpoint", &services.token)?,
            end_session: url(&services.end_session),
            says_issuer: services.says_issuer,
        })
    }

    /// The ID token for a code (OpenID Connect Core 1.0, section 3.1.3). An error is for the operator, and contains nothing of the
    /// answer.
    pub(crate) async fn id_token<H: Host>(
        &self,
        settings: &OidcLoginSettings,
        isolate: &Isolate,
        host: &H,
        (code, verifier, redirect_uri): (&str, &str, &str),
    ) -> Result<String, TokenRefused> {
        let server = AuthorizationServer {
            url: &self.token,
            is_private: settings.is_private,
            audience: settings.rules.issuers.first().map(String::as_str).unwrap_or_default(),
            client: &settings.client,
        };
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect_uri),
        ];
        let answer = server.ask(isolate, host, &parameters, "application/json").await;
        let answer = answer.map_err(|unanswered| TokenRefused::Away(unanswered.why))?;
        let members = Members::parse(&answer.content).ok();
        let error = members.as_ref().and_then(|members| members.text("error"));
        match (answer.status, error) {
            (StatusCode::OK, _) => {}
            // The code was used before, or has ended: the person begins again.
            (StatusCode::BAD_REQUEST, Some("invalid_grant")) => return Err(TokenRefused::Code),
            (status, _) => return Err(TokenRefused::Away(format!("its token endpoint answered with status {status}"))),
        }
        let token = members.as_ref().and_then(|members| members.text("id_token"));
        let none = || TokenRefused::Away("the answer of its token endpoint has no `id_token`".to_owned());
        token.map(str::to_owned).ok_or_else(none)
    }
}

/// Why there is no ID token.
#[derive(Debug)]
pub(crate) enum TokenRefused {
    /// The provider does not know the code any more.
    Code,
    /// It did not answer, or not as it must.
    Away(String),
}
