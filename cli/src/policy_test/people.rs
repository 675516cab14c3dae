//! People who log in at an issuer: their accounts, and what its token endpoint answers (OpenID Connect Core 1.0, sections 3.1 and 12).
//!
//! It is as strict as providers are: a code and a refresh token are used once, a code belongs to a client, a redirect URI and a
//! verifier (RFC 7636), and who presents a refresh token twice loses all that came of its login.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use tollgate_config::policy_tests::{AccountChange, TestToken};
use tollgate_core::authn::digest_text;
use tollgate_core::oauth::add_parameter;
use tollgate_core::query::parameter;

/// The people of an issuer.
#[derive(Default)]
pub(super) struct People {
    accounts: RefCell<HashMap<String, AccountChange>>,
    /// What was given to clients, by its text.
    grants: RefCell<HashMap<String, Grant>>,
    /// The number of grants so far.
    made: Cell<u64>,
}

/// A code, or a refresh token.
#[derive(Clone)]
struct Grant {
    login: Login,
    is_code: bool,
    is_used: bool,
}

/// A login of a person at a client.
#[derive(Clone)]
struct Login {
    number: u64,
    token: TestToken,
    client: String,
    nonce: Option<String>,
    challenge: Option<String>,
    redirect_uri: String,
}

impl People {
    /// What becomes of an account.
    pub(super) fn change(&self, subject: &str, change: AccountChange) {
        self.accounts.borrow_mut().insert(subject.to_owned(), change);
    }

    /// A person logs in, with this ID token, where a client has sent the browser with this query; answers where it goes back to.
    pub(super) fn log_in(&self, token: &TestToken, query: &str) -> Result<String, String> {
        let sent = |name: &str| parameter(query, name);
        let needed = |name: &str| sent(name).ok_or_else(|| format!("the provider was not told `{name}`"));
        let (redirect_uri, client) = (needed("redirect_uri")?, needed("client_id")?);
        if sent("response_type").as_deref() != Some("code") {
            return Err("the provider was not asked for a code".to_owned());
        }
        let mut answer = String::new();
        if self.is_closed(subject(token)) {
            add_parameter(&mut answer, "error", "access_denied");
        } else {
            let (nonce, challenge) = (sent("nonce"), sent("code_challenge"));
            let number = self.made.get();
            let login =
                Login { number, token: token.clone(), client, nonce, challenge, redirect_uri: redirect_uri.clone() };
            add_parameter(&mut answer, "code", &self.give(login, true));
        }
        if let Some(state) = sent("state") {
            add_parameter(&mut answer, "state", &state);
        }
        Ok(format!("{redirect_uri}{}{answer}", if redirect_uri.contains('?') { '&' } else { '?' }))
    }

    /// The answer of the token endpoint to a form with a code or refresh token that was given here; `None` to others.
    pub(super) fn answer(
        &self,
        fields: &HeaderMap,
        form: &str,
        issue: impl Fn(&TestToken) -> Result<String, String>,
    ) -> Option<(u16, Value)> {
        let is_code = match parameter(form, "grant_type")?.as_str() {
            "authorization_code" => true,
            "refresh_token" => false,
            _ => return None,
        };
        let text = parameter(form, if is_code { "code" } else { "refresh_token" })?;
        let grant = self.grants.borrow().get(&text).filter(|grant| grant.is_code == is_code).cloned()?;
        let login = &grant.login;
        if !is_of_client(&login.client, fields, form) {
            return Some((401, json!({"error": "invalid_client"})));
        }
        let is_of_login = !is_code || is_of_login(login, form);
        if grant.is_used {
            self.use_up(|other| other.number == login.number);
        }
        if grant.is_used || !is_of_login || self.is_closed(subject(&login.token)) {
            return Some((400, json!({"error": "invalid_grant"})));
        }
        if let Some(grant) = self.grants.borrow_mut().get_mut(&text) {
            grant.is_used = true;
        }
        let token = self.id_token(login, is_code);
        Some(match issue(&token) {
            Ok(id_token) => {
                let refresh = self.give(login.clone(), false);
                let answer = json!({
                    "access_token": "of-policy-tests", "token_type": "Bearer", "id_token": id_token, "refresh_token": refresh,
                });
                (200, answer)
            }
            Err(_) => (500, Value::Null),
        })
    }

    /// Whoever has a refresh token of this person cannot use it any more.
    pub(super) fn log_out(&self, person: &str) {
        self.use_up(|login| subject(&login.token) == person);
    }

    /// Nothing that came of these logins can be used any more.
    fn use_up(&self, is_one: impl Fn(&Login) -> bool) {
        let mut grants = self.grants.borrow_mut();
        grants.values_mut().filter(|grant| is_one(&grant.login)).for_each(|grant| grant.is_used = true);
    }

    /// The ID token of a login with what is known of the account now.
    fn id_token(&self, login: &Login, is_first: bool) -> TestToken {
        let mut token = login.token.clone();
        if let Some(AccountChange::Claims(claims)) = self.accounts.borrow().get(subject(&login.token)) {
            token.claims.extend(claims.clone());
        }
        // A test may give it another one.
        if let (true, Some(nonce), false) = (is_first, &login.nonce, token.claims.contains_key("nonce")) {
            token.claims.insert("nonce".to_owned(), nonce.as_str().into());
        }
        if is_first { token } else { TestToken { issued: None, ..token } }
    }

    fn is_closed(&self, person: &str) -> bool {
        self.accounts.borrow().get(person) == Some(&AccountChange::Closed)
    }

    /// A text that stands for a login.
    fn give(&self, login: Login, is_code: bool) -> String {
        let number = self.made.get();
        self.made.set(number + 1);
        let text = format!("{}-{number}", if is_code { "code" } else { "refresh" });
        self.grants.borrow_mut().insert(text.clone(), Grant { login, is_code, is_used: false });
        text
    }
}

/// Whether a code is exchanged by the one that began the login.
fn is_of_login(login: &Login, form: &str) -> bool {
    let verifier = parameter(form, "code_verifier");
    parameter(form, "redirect_uri").as_ref() == Some(&login.redirect_uri)
        && login.challenge == verifier.as_deref().map(digest_text)
}

/// Whether a request has the credentials of this client, whatever its secret is.
fn is_of_client(client: &str, fields: &HeaderMap, form: &str) -> bool {
    let basic = fields.get(AUTHORIZATION).and_then(|field| field.to_str().ok()?.strip_prefix("Basic "));
    let pair = basic.and_then(|text| String::from_utf8(Base64::decode_vec(text).ok()?).ok());
    // RFC 6749, section 2.3.1: both are encoded as in a form.
    let id = pair.and_then(|pair| parameter(&format!("id={}", pair.split_once(':')?.0), "id"));
    let named = id.or_else(|| parameter(form, "client_id"));
    named.as_deref() == Some(client) || named.is_none() && parameter(form, "client_assertion").is_some()
}

/// What the person is called at the issuer.
pub(super) fn subject(token: &TestToken) -> &str {
    token.claims.get("sub").and_then(Value::as_str).unwrap_or(super::issuer::SUBJECT)
}

/// The claims of a logout token for a person (OpenID Connect Back-Channel Logout 1.0, section 2.4), beside the usual ones.
pub(super) fn logout_claims(person: &str, number: u64) -> Map<String, Value> {
    let claims = json!({
        "sub": person,
        "jti": format!("logout-{number}"),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}
