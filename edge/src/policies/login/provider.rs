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
        let is_allowed = |url: &&http::Uri| {
            let is_plain = url.scheme_str() == Some("http") && settings.is_private;
            url.authority().is_some() && (is_plain || url.scheme_str() == Some("https"))
        };
        let url = |url: &Option<http::Uri>| url.as_ref().filter(is_allowed).map(ToString::to_string);
        let needed = |name: &str, own| url(own).ok_or_else(|| failed(format!("they name no {name} of https")));
        Ok(Self {
            authorization: needed("authorization_endpoint", &services.authorization)?,
            token: needed("token_endpoint", &services.token)?,
            end_session: url(&services.end_session),
            says_issuer: services.says_issuer,
        })
    }

    /// What it grants for a code or a refresh token (OpenID Connect Core 1.0, sections 3.1.3 and 12). An error is for the operator,
    /// and contains nothing of the answer.
    pub(crate) async fn granted<H: Host>(
        &self,
        settings: &OidcLoginSettings,
        isolate: &Isolate,
        host: &H,
        parameters: &[(&str, &str)],
    ) -> Result<Granted, TokenRefused> {
        let server = AuthorizationServer {
            url: &self.token,
            is_private: settings.is_private,
            audience: settings.rules.issuers.first().map(String::as_str).unwrap_or_default(),
            client: &settings.client,
        };
        let answer = server.ask(isolate, host, parameters, "application/json").await;
        let answer = answer.map_err(|unanswered| TokenRefused::Away(unanswered.why))?;
        let members = Members::parse(&answer.content).ok();
        let error = members.as_ref().and_then(|members| members.text("error"));
        match (answer.status, error, &members) {
            (StatusCode::OK, _, Some(members)) => {
                let text = |name: &str| members.text(name).map(str::to_owned);
                Ok(Granted { id_token: text("id_token"), refresh_token: text("refresh_token") })
            }
            (StatusCode::OK, _, None) => {
                Err(TokenRefused::Away("its token endpoint did not answer with JSON".to_owned()))
            }
            // The code or the token was used before, has ended, or was revoked: the person begins again.
            (StatusCode::BAD_REQUEST, Some("invalid_grant"), _) => Err(TokenRefused::Grant),
            (status, ..) => Err(TokenRefused::Away(format!("its token endpoint answered with status {status}"))),
        }
    }
}

/// What a provider grants.
pub(crate) struct Granted {
    pub(crate) id_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

/// Why it grants nothing.
#[derive(Debug)]
pub(crate) enum TokenRefused {
    /// It does not know the code or the token any more.
    Grant,
    /// It did not answer, or not as it must.
    Away(String),
}
