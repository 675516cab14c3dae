//! Logins of people: the redirect to the provider, its answer, the session, and what other sites cannot do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use http::{HeaderName, Request, Response, StatusCode};
use tollgate_core::authn::{Credential, IdentityName, IdentityRules, LinkRules, OidcLoginSettings};
use tollgate_core::forward::{Attribute, IdentityField, UpstreamError};
use tollgate_core::kinds::{Named, Place, Policy, PolicyKind};
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_edge::memory::{Content, MemorySignatures, ScriptedFetch};
use tollgate_edge::ports::{Clock, Content as _};
use tollgate_kv_schemas::{encode, keys};

use crate::bench::{Answer, Bench, ok, on_any_host, request, route, site};
use crate::tokens::{key as signer, set, token};

const ISSUER: &str = "https://id.example.com";
const METADATA: &str = r#"{"issuer":"https://id.example.com","jwks_uri":"https://id.example.com/keys","authorization_endpoint":"https://id.example.com/auth?a=b","token_endpoint":"https://id.example.com/token","end_session_endpoint":"https://id.example.com/end"}"#;

pub(crate) fn settings() -> OidcLoginSettings {
    let secret = |name: &str| SecretText::parse(&format!("${{secret.{name}}}")).unwrap();
    OidcLoginSettings {
        client: ClientAuthentication::Post("portal".into(), secret("CLIENT")),
        rules: IdentityRules {
            issuers: vec![ISSUER.into()],
            audiences: vec!["portal".into()],
            group_claims: vec!["groups".into()],
            ..IdentityRules::default()
        },
        secrets: vec![secret("SESSIONS"), secret("CLIENT")],
        path: "/.login".into(),
        cookie: "__Host-session".into(),
        scope: "openid groups".into(),
        session_s: 3_600,
        idle_s: 600,
        is_private: false,
        after_logout: "/bye".into(),
        refresh_s: 0,
        is_revocable: false,
    }
}

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

/// A gateway with a policy for logins, whose provider answers a code by a script.
pub(crate) struct World {
    pub(crate) bench: Bench,
    /// The claims of the next ID token beside the usual ones, and the nonce if it is another one than that of the login.
    pub(crate) claims: Rc<RefCell<String>>,
    /// The status of the token endpoint.
    pub(crate) status: Rc<Cell<u16>>,
    nonce: Rc<RefCell<String>>,
    /// What the token endpoint answers instead.
    instead: Rc<RefCell<Option<String>>>,
    metadata: Rc<RefCell<String>>,
    /// Whether the provider answers at all.
    is_away: Rc<Cell<bool>>,
    /// Whether it gives refresh tokens, how often one was presented, and whether one of them was not the last one.
    pub(crate) gives_refresh: Rc<Cell<bool>>,
    pub(crate) refreshes: Rc<Cell<u32>>,
    pub(crate) person: Rc<RefCell<String>>,
    pub(crate) is_reused: Rc<Cell<bool>>,
}

impl World {
    fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: OidcLoginSettings) -> Self {
        let mut bench = Bench::new(vec![], ok(&[], "dashboard"));
        let (claims, status) = (Rc::new(RefCell::new(String::new())), Rc::new(Cell::new(200)));
        let nonce = Rc::new(RefCell::new(String::new()));
        let (instead, metadata) = (Rc::new(RefCell::new(None)), Rc::new(RefCell::new(METADATA.to_owned())));
        let is_away = Rc::new(Cell::new(false));
        let (said, answered, own) = (Rc::clone(&claims), Rc::clone(&status), Rc::clone(&nonce));
        let (other, described, away) = (Rc::clone(&instead), Rc::clone(&metadata), Rc::clone(&is_away));
        let (gives_refresh, refreshes) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(0)));
        let is_reused = Rc::new(Cell::new(false));
        let (gives, presented, reused) = (Rc::clone(&gives_refresh), Rc::clone(&refreshes), Rc::clone(&is_reused));
        let person = Rc::new(RefCell::new("ada".to_owned()));
        let (last, of) = (Cell::new(0), Rc::clone(&person));
        let clock = bench.host.clock.clone();
        bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |asked: &Request<Content>| {
            if away.get() {
                return (0, Err(UpstreamError::ConnectionRefused));
            }
            let (status, text) = match asked.uri().path() {
                "/token" if other.borrow().is_some() => (200, other.borrow().clone().unwrap_or_default()),
                "/token" => {
                    let form = String::from_utf8(asked.body().bytes().to_vec()).unwrap();
                    if form.starts_with("grant_type=refresh_token&") {
                        presented.set(presented.get() + 1);
                        reused.set(reused.get() || !form.contains(&format!("&refresh_token=r3fr3sh{}&", last.get())));
                    }
                    if answered.get() == 200 {
                        last.set(last.get() + 1);
                    }
                    let exp = clock.now().as_secs() + 300;
                    let (more, nonce, sub) = (said.borrow(), own.borrow(), of.borrow());
                    let claims = format!(
                        r#"{{"iss":"{ISSUER}","aud":"portal","sub":"{sub}","exp":{exp},"iat":{},"nonce":"{nonce}"{more}}}"#,
                        exp - 300
                    );
                    let error = r#"{"error":"invalid_grant"}"#.to_owned();
                    let token = token("a", &signer(1), &claims);
                    let refresh = if gives.get() {
                        format!(r#","refresh_token":"r3fr3sh{}""#, last.get())
                    } else {
                        String::new()
                    };
                    let granted =
                        format!(r#"{{"access_token":"x","token_type":"Bearer","id_token":"{token}"{refresh}}}"#);
                    (answered.get(), if answered.get() == 200 { granted } else { error })
                }
                "/keys" => (200, set(&[("a", &signer(1))])),
                _ => (200, described.borrow().clone()),
            };
            let mut response = Response::new(Content::from_bytes(text.into()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            (0, Ok(response))
        });
        bench.host.signatures = MemorySignatures::new(tollgate_signatures::verifies)
            .sealing(tollgate_signatures::seal, tollgate_signatures::open);
        bench.host.secrets.put("CLIENT", "s3cr3t");
        bench.host.secrets.put("SESSIONS", OLD);
        let named = Named { name: "staff".into(), policy: Policy::from(settings) };
        let guarded = |path: &str| RouteSettings { authn: vec![vec![Place::new(0)]], ..route(path, &["GET", "POST"]) };
        let open = RouteSettings { authn: vec![vec![Place::new(0)], vec![]], ..route("/news", &["GET"]) };
        let routes = vec![guarded("/reports"), open];
        bench.publish(&on_any_host(SiteSettings { policies: [named].into_iter().collect(), ..told_emails(routes) }));
        Self { bench, claims, status, nonce, instead, metadata, is_away, gives_refresh, refreshes, is_reused, person }
    }

    /// Publishes the policy with other settings.
    pub(crate) fn publish(&self, settings: OidcLoginSettings) {
        let named = Named { name: "staff".into(), policy: Policy::from(settings) };
        let guarded = RouteSettings { authn: vec![vec![Place::new(0)]], ..route("/reports", &["GET", "POST"]) };
        let site = SiteSettings { policies: [named].into_iter().collect(), ..told_emails(vec![guarded]) };
        self.bench.publish(&on_any_host(site));
    }

    pub(crate) fn send(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.bench.send(request(method, target, fields, ""))
    }

    /// A person opens a page; answers the URL of the provider and the cookie of the login.
    pub(crate) fn begin(&self) -> (String, String) {
        let answer = self.send("GET", "/reports?of=may", &[("accept", "text/html")]);
        assert_eq!((answer.status, answer.problem().as_str()), (302, "login-required"), "{answer:?}");
        assert_eq!(answer.field("referrer-policy"), "no-referrer", "the provider is not told the page");
        (answer.field("location").to_owned(), pair(answer.field("set-cookie")))
    }

    /// The provider sends the browser back, with these cookies.
    pub(crate) fn back(&self, url: &str, cookies: &str) -> Answer {
        *self.nonce.borrow_mut() = parameter(url, "nonce");
        let target = format!("/.login/callback?code=c0de&state={}", parameter(url, "state"));
        self.send("GET", &target, &[("cookie", cookies)])
    }

    /// The cookie of a person who has logged in.
    pub(crate) fn session(&self) -> String {
        let (url, login) = self.begin();
        let answer = self.back(&url, &login);
        assert_eq!(answer.status, 303, "{answer:?}");
        pair(answer.field("set-cookie"))
    }

    pub(crate) fn with_cookie(&self, cookie: &str) -> Answer {
        self.send("GET", "/reports", &[("cookie", cookie)])
    }

    pub(crate) fn advance(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }
}

/// A site whose upstream is told the claim `email` of its callers.
fn told_emails(routes: Vec<RouteSettings>) -> SiteSettings {
    let mut site = site(routes);
    let tells = Attribute::Claim(vec!["email".into()]).into();
    site.upstreams[0].identity = vec![IdentityField { name: HeaderName::from_static("x-email"), tells }];
    site
}

/// The name and the value of a cookie that is set.
pub(crate) fn pair(line: &str) -> String {
    assert!(line.ends_with("; Secure; HttpOnly; SameSite=Lax") && line.contains("; Path=/; Max-Age="), "{line}");
    line.split(';').next().unwrap().to_owned()
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
}

#[track_caller]
pub(crate) fn check(answer: &Answer, status: u16, code: &str) {
    let found = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
    assert_eq!((answer.status, found.as_str()), (status, code), "{answer:?}");
}

#[test]
fn a_person_logs_in_and_has_a_session() {
    let world = World::new();
    assert!(settings().is_coherent());
    *world.claims.borrow_mut() = r#","groups":["admins"]"#.into();
    let (url, login) = world.begin();
    assert!(url.starts_with("https://id.example.com/auth?a=b&response_type=code&client_id=portal&"), "{url}");
    assert_eq!(parameter(&url, "redirect_uri"), "https%3A%2F%2Fapi.example.com%2F.login%2Fcallback");
    assert_eq!(
        (parameter(&url, "scope"), parameter(&url, "code_challenge_method")),
        ("openid+groups".into(), "S256".into())
    );
    let answer = world.back(&url, &login);
    assert_eq!((answer.status, answer.field("location")), (303, "/reports?of=may"), "{answer:?}");
    assert_eq!((answer.field("cache-control"), answer.field("referrer-policy")), ("no-store", "no-referrer"));
    let set: Vec<_> = answer.fields.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(set.len(), 2);
    assert!(set[1].contains("-login-") && set[1].contains("Max-Age=0"), "the login is over: {set:?}");
    let session = pair(set[0]);
    assert!(session.starts_with("__Host-session="));

    let asked = world.bench.host.fetch.take_received();
    let sent = asked.iter().find(|asked| asked.uri().path() == "/token").expect("the code was sent");
    let form = String::from_utf8(sent.body().bytes().to_vec()).unwrap();
    assert!(form.starts_with("grant_type=authorization_code&code=c0de&code_verifier="), "{form}");
    let verifier = parameter(&format!("?{form}"), "code_verifier");
    assert_eq!(tollgate_core::authn::digest_text(&verifier), parameter(&url, "code_challenge"));

    let page = world.with_cookie(&session);
    let person = page.record.principal().expect("a person");
    assert_eq!(
        (page.status, person.consumer.as_str(), person.groups.as_slice()),
        (200, "staff:ada", &["admins".to_owned()][..])
    );
    assert!(person.credential.starts_with("staff/"));
    assert_eq!(page.field("set-cookie"), "", "nothing has to be renewed");
    let log = world.bench.host.sink.lines().join("\n");
    for secret in ["c0de", &session, &login, &verifier, &parameter(&url, "state"), &parameter(&url, "nonce"), OLD] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn only_a_person_who_opens_a_page_is_redirected() {
    let world = World::new();
    for fields in [&[][..], &[("accept", "application/json")], &[("accept", "text/html"), ("sec-fetch-mode", "cors")]] {
        let answer = world.send("GET", "/reports", fields);
        check(&answer, 401, "session-missing");
        assert_eq!(
            (answer.problem().as_str(), answer.field("www-authenticate")),
            ("credential-missing", "Session realm=\"acme\"")
        );
    }
    check(&world.send("POST", "/reports", &[("accept", "text/html")]), 401, "session-missing");
}

#[test]
fn an_answer_that_is_not_to_this_login_logs_nobody_in() {
    let world = World::new();
    let (url, login) = world.begin();
    let (other, _) = world.begin();
    let callback =
        |more: &str, cookies: &str| world.send("GET", &format!("/.login/callback?{more}"), &[("cookie", cookies)]);
    let state = parameter(&url, "state");
    let forged = format!("{}AAAA", &login[..login.len() - 4]);
    check(&world.back(&url, ""), 401, "login-refused");
    check(&callback(&format!("code=c0de&state=A{}", &state[1..]), &login), 401, "login-refused");
    check(&world.back(&url, &forged), 401, "login-refused");
    check(&world.back(&other, &login), 401, "login-refused");
    check(&callback("code=c0de", &login), 401, "login-refused");
    check(&callback(&format!("error=access_denied&state={state}"), &login), 401, "login-refused");
    check(&callback(&format!("code=c&state={state}&iss=https%3A%2F%2Fevil.test"), &login), 401, "login-refused");
    check(&callback(&format!("code=c&state={state}&state={state}"), &login), 401, "login-refused");
    // Its ID token belongs to another login.
    *world.nonce.borrow_mut() = parameter(&other, "nonce");
    check(&callback(&format!("code=c0de&state={state}"), &login), 401, "login-refused");
    *world.claims.borrow_mut() = r#","azp":"another""#.into();
    check(&world.back(&url, &login), 401, "login-refused");
    *world.claims.borrow_mut() = format!(r#","groups":"{}""#, "a".repeat(5_000));
    check(&world.back(&url, &login), 401, "login-refused");
    world.claims.borrow_mut().clear();
    world.status.set(400);
    check(&world.back(&url, &login), 401, "login-refused");
    world.status.set(500);
    check(&world.back(&url, &login), 503, "login-away");
    world.status.set(200);
    assert_eq!(world.back(&url, &login).status, 303);
    world.advance(600_000);
    check(&world.back(&url, &login), 401, "login-refused");
    check(&world.send("POST", "/.login/callback", &[]), 405, "other-method");
    assert_eq!(world.send("GET", "/.login", &[]).status, 404);
}

#[test]
fn pages_that_are_opened_at_once_lead_to_one_session() {
    let world = World::new();
    let (url, login) = world.begin();
    let (other_url, other) = world.begin();
    let answer = world.back(&url, &format!("{login}; {other}"));
    let session = pair(answer.field("set-cookie"));
    let answer = world.back(&other_url, &format!("{session}; {other}"));
    assert_eq!((answer.status, answer.field("location")), (303, "/reports?of=may"), "both are answered");
    // The cookie of a login is gone: its code was used, or another login has taken its place.
    let again = world.back(&url, &session);
    assert_eq!((again.status, again.field("location")), (303, "/reports?of=may"));
    assert_eq!(again.field("set-cookie"), "", "the session stays as it is");
    check(&world.back(&url, &format!("{session}x")), 401, "login-refused");
}

#[test]
fn a_provider_that_names_itself_in_its_answers_must_do_so() {
    let world = World::new();
    let says = r#"{"authorization_response_iss_parameter_supported":true,"#;
    let metadata = world.metadata.borrow().replacen('{', says, 1);
    *world.metadata.borrow_mut() = metadata;
    let (url, login) = world.begin();
    check(&world.back(&url, &login), 401, "login-refused");
    let target = format!("/.login/callback?code=c0de&iss={ISSUER}&state={}", parameter(&url, "state"));
    assert_eq!(world.send("GET", &target, &[("cookie", &login)]).status, 303);
}

#[test]
fn a_provider_that_answers_something_else_is_told_to_the_operator() {
    let world = World::new();
    let (url, login) = world.begin();
    for text in ["", "<html>", "[]", "{\"id_token\":1}", "{\"access_token\":\"a\"}", &"{".repeat(100_000)] {
        *world.instead.borrow_mut() = Some(text.to_owned());
        check(&world.back(&url, &login), 503, "login-away");
    }
    for text in ["{\"id_token\":\"a.b.c\"}", "{\"id_token\":\"\"}"] {
        *world.instead.borrow_mut() = Some(text.to_owned());
        assert_eq!(world.back(&url, &login).status, 401);
    }
}

#[test]
fn a_page_without_a_login_does_not_need_the_provider() {
    let world = World::new();
    world.is_away.set(true);
    let opened = |target: &str| world.send("GET", target, &[("accept", "text/html")]);
    assert_eq!(opened("/news").status, 200);
    assert!(world.bench.host.fetch.take_received().is_empty(), "nobody was asked");
    check(&opened("/reports"), 503, "login-away");
}

#[test]
fn a_session_ends_and_that_of_somebody_who_is_active_is_renewed() {
    let world = World::new();
    let mut session = world.session();
    world.advance(149_000);
    assert_eq!((world.with_cookie(&session).status, world.with_cookie(&session).field("set-cookie")), (200, ""));
    for ms in [440_000, 540_000, 540_000, 540_000, 540_000, 540_000] {
        world.advance(ms);
        let page = world.with_cookie(&session);
        assert_eq!((page.status, page.field("cache-control")), (200, "no-store"), "{page:?}");
        session = pair(page.field("set-cookie"));
    }
    // After an hour, it ends for everybody.
    world.advance(400_000);
    check(&world.with_cookie(&session), 401, "session-ended");
    let opened = world.send("GET", "/reports", &[("cookie", &session), ("accept", "text/html")]);
    check(&opened, 302, "session-ended");
    let idle = world.session();
    world.advance(600_000);
    check(&world.with_cookie(&idle), 401, "session-ended");
}

#[test]
fn a_cookie_that_the_gateway_did_not_make_is_no_session() {
    let world = World::new();
    let session = world.session();
    let (url, _) = world.begin();
    let of_login = format!("__Host-session={}", parameter(&url, "state"));
    for cookie in ["__Host-session=", "__Host-session=abc", &of_login, &session[..session.len() - 1]] {
        check(&world.with_cookie(cookie), 401, "session-unreadable");
    }
    check(&world.with_cookie(&format!("{session}; {session}")), 401, "sessions-several");
    let upstream = world.bench.host.upstream.take_received();
    assert!(upstream.is_empty(), "nothing was forwarded");
    assert_eq!(world.with_cookie(&format!("a=b; {session}")).status, 200);
    let sent = world.bench.host.upstream.take_received();
    assert_eq!(sent[0].headers()["cookie"], "a=b", "the upstream sees no session");
}

#[test]
fn both_values_of_the_secret_are_accepted() {
    let world = World::new();
    let old = world.session();
    world.bench.host.secrets.put("SESSIONS", format!("{NEW}\n{OLD}"));
    world.advance(120_000);
    assert_eq!(world.with_cookie(&old).status, 200);
    let new = world.session();
    world.bench.host.secrets.put("SESSIONS", NEW);
    world.advance(120_000);
    check(&world.with_cookie(&old), 401, "session-unreadable");
    assert_eq!(world.with_cookie(&new).status, 200);
    world.bench.host.secrets.put("SESSIONS", "short");
    world.advance(120_000);
    check(&world.with_cookie(&new), 503, "login-away");
}

#[test]
fn other_sites_cannot_use_a_session_to_change_something() {
    let world = World::new();
    let session = world.session();
    let post = |fields: &[(&str, &str)]| {
        let mut all = vec![("cookie", session.as_str())];
        all.extend(fields);
        world.send("POST", "/reports", &all)
    };
    check(&post(&[]), 401, "session-cross-site");
    check(&post(&[("sec-fetch-site", "cross-site")]), 401, "session-cross-site");
    check(&post(&[("origin", "https://evil.test")]), 401, "session-cross-site");
    assert_eq!(post(&[("sec-fetch-site", "same-origin")]).status, 200);
    assert_eq!(post(&[("origin", "https://api.example.com")]).status, 200);
}

#[test]
fn a_logout_ends_the_session_here_and_at_the_provider() {
    let world = World::new();
    let session = world.session();
    check(
        &world.send("GET", "/.login/logout", &[("cookie", &session), ("sec-fetch-site", "cross-site")]),
        401,
        "session-cross-site",
    );
    for method in ["GET", "POST"] {
        let answer = world.send(method, "/.login/logout", &[("cookie", &session), ("sec-fetch-site", "same-origin")]);
        assert_eq!(answer.field("clear-site-data"), "\"cache\"");
        assert_eq!(answer.status, 303);
        let end =
            "https://id.example.com/end?client_id=portal&post_logout_redirect_uri=https%3A%2F%2Fapi.example.com%2Fbye";
        assert_eq!(answer.field("location"), end);
        assert!(answer.field("set-cookie").starts_with("__Host-session=; Path=/; Max-Age=0;"), "{answer:?}");
    }
    check(&world.send("DELETE", "/.login/logout", &[]), 405, "other-method");
}

#[test]
fn a_person_who_logs_in_is_the_consumer_of_the_link() {
    let links = Some(LinkRules { claim: "sub".into(), required: true });
    let rules = IdentityRules { links, ..settings().rules };
    let world = World::with(OidcLoginSettings { rules, ..settings() });
    let (url, login) = world.begin();
    check(&world.back(&url, &login), 401, "token-not-accepted");
    let name: IdentityName = format!("{ISSUER} sub=ada").parse().unwrap();
    let link = Credential { identity: Some(name.to_string()), ..Credential::of("link-1", "person:ada") };
    world.bench.host.records.put(keys::credential("acme", &name.digest()), encode(&link));
    let page = world.with_cookie(&world.session());
    assert_eq!(page.record.principal().map(|person| person.consumer.as_str()), Some("person:ada"));
}
