//! People who log in at a real provider: what a browser does, with its cookies.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tollgate_tests::client::{Answer, Client, Request};
use tollgate_tests::identity_provider::IdentityProvider;

use crate::lane::HOST_SECRET;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_person_logs_in_at_a_real_provider_and_out_again,
    a_login_that_another_browser_began_is_refused,
    a_session_lives_as_long_as_a_real_provider_confirms_it,
    claims_of_a_person_who_has_logged_in_are_told_and_decide,
    a_real_provider_ends_the_sessions_of_a_person,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A provider that knows the gateway as `portal`, and a route for which people log in there.
async fn provider(world: &World, more: &str) -> Result<IdentityProvider> {
    provider_for(world, more, |project| project.route("{path: /a, methods: [GET, POST], authn: staff}")).await
}

/// The same for other routes.
async fn provider_for(
    world: &World,
    more: &str,
    complete: impl FnOnce(Project) -> Project,
) -> Result<IdentityProvider> {
    let callback = format!("http://{}/.login/callback", world.domain);
    let provider =
        IdentityProvider::with_portal((world.artifacts(), world.secrets()), ("portal", HOST_SECRET.1, &callback))
            .await?;
    let issuer = provider.url();
    let policy = format!(
        "staff: {{kind: oidc-login, issuer: \"{issuer}\", client-id: portal, client-secret: \"${{secret.UPSTREAM_TOKEN}}\", \
         secret: \"${{secret.UPSTREAM_TOKEN}}${{secret.UPSTREAM_TOKEN}}\", private-network: true, groups: groups{more}}}"
    );
    world.publish(complete(Project::new(world).policy(&policy))).await?;
    Ok(provider)
}

/// A browser: it keeps cookies by host, and follows redirects to the provider.
#[derive(Default)]
struct Browser {
    cookies: Vec<(String, String)>,
    of_provider: Vec<(String, String)>,
}

fn keep(jar: &mut Vec<(String, String)>, answer: &Answer) {
    for line in answer.all("set-cookie") {
        let pair = line.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else { continue };
        jar.retain(|(known, _)| known != name);
        if !value.is_empty() {
            jar.push((name.to_owned(), value.to_owned()));
        }
    }
}

fn cookies(jar: &[(String, String)]) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

impl Browser {
    /// A person opens a page of the gateway.
    async fn open(&mut self, world: &World, target: &str) -> Result<Answer> {
        self.send(world, Request::get(target).field("Accept", "text/html").field("Sec-Fetch-Site", "none")).await
    }

    async fn send(&mut self, world: &World, request: Request) -> Result<Answer> {
        let answer = world.client().send(request.field("Cookie", &cookies(&self.cookies))).await?;
        keep(&mut self.cookies, &answer);
        Ok(answer)
    }

    /// Goes to the provider, where the person logs in, until that sends the browser back; answers the path of the gateway.
    async fn log_in(&mut self, world: &World, provider: &IdentityProvider, location: &str) -> Result<String> {
        let own = format!("http://{}", world.domain);
        let mut location = location.to_owned();
        for _ in 0..6 {
            if let Some(path) = location.strip_prefix(&own) {
                return Ok(path.to_owned());
            }
            let path = location.strip_prefix(provider.url()).unwrap_or(&location).to_owned();
            let request = Request::get(&path).field("Cookie", &cookies(&self.of_provider));
            let answer = Client::new(provider.url()).send(request).await?;
            keep(&mut self.of_provider, &answer);
            location = answer.field("location").ok_or_else(|| format!("{path}: {}", answer.text()))?.to_owned();
        }
        Err(format!("the provider sent the browser to {location} at last").into())
    }
}

async fn a_person_logs_in_at_a_real_provider_and_out_again(world: Rc<World>) -> Outcome {
    let provider = provider(&world, "").await?;
    let mut browser = Browser::default();
    assert_problem(&world.client().get("/a").await?, 401, "credential-missing");

    let sent = browser.open(&world, "/a?of=may").await?;
    assert_eq!(sent.status, 302, "{}", sent.text());
    let location = sent.field("location").unwrap_or_default().to_owned();
    let back = browser.log_in(&world, &provider, &location).await?;
    let logged_in = browser.open(&world, &back).await?;
    assert_eq!((logged_in.status, logged_in.field("location")), (303, Some("/a?of=may")), "{}", logged_in.text());
    let names: Vec<_> = browser.cookies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["__Host-session"], "the cookie of the login is gone");

    let session = browser.cookies[0].1.clone();
    for _ in 0..2 {
        let page = browser.open(&world, "/a?of=may").await?;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(!page.text().contains(&session), "the upstream saw the session: {}", page.text());
    }
    assert!(world.records(4).await?.iter().any(|line| line["consumer"] == "staff:ada"));
    let post = || Request::post("/a", "x");
    assert_problem(&browser.send(&world, post()).await?, 401, "credential-not-accepted");
    assert_eq!(browser.send(&world, post().field("Sec-Fetch-Site", "same-origin")).await?.status, 200);

    // The code was used.
    browser.cookies.clear();
    assert_problem(&browser.open(&world, &back).await?, 401, "credential-not-accepted");
    browser.cookies.push(("__Host-session".to_owned(), session.clone()));
    let out = browser.open(&world, "/.login/logout").await?;
    assert_eq!(out.status, 303);
    assert!(out.field("location").unwrap_or_default().starts_with(provider.url()), "{out:?}");
    assert!(browser.cookies.is_empty(), "the session is gone");
    let logs = world.host.logs().concat();
    let code = back.split("code=").nth(1).and_then(|rest| rest.split('&').next()).ok_or("no code")?;
    assert!(!logs.contains(code) && !logs.contains(&session));
    Ok(())
}

async fn a_login_that_another_browser_began_is_refused(world: Rc<World>) -> Outcome {
    let provider = provider(&world, "").await?;
    let (mut attacker, mut victim) = (Browser::default(), Browser::default());
    let sent = attacker.open(&world, "/a").await?;
    let location = sent.field("location").unwrap_or_default().to_owned();
    let back = attacker.log_in(&world, &provider, &location).await?;
    assert_problem(&victim.open(&world, &back).await?, 401, "credential-not-accepted");
    victim.open(&world, "/a").await?;
    assert_problem(&victim.open(&world, &back).await?, 401, "credential-not-accepted");
    assert_eq!(attacker.open(&world, &back).await?.status, 303);
    assert_eq!(attacker.open(&world, "/a").await?.status, 200);
    Ok(())
}

impl Browser {
    /// A browser whose person has logged in.
    async fn logged_in(world: &World, provider: &IdentityProvider) -> Result<Self> {
        let mut browser = Self::default();
        let sent = browser.open(world, "/a").await?;
        let back = browser.log_in(world, provider, sent.field("location").unwrap_or_default()).await?;
        let logged_in = browser.open(world, &back).await?;
        if logged_in.status == 303 { Ok(browser) } else { Err(logged_in.text().into()) }
    }
}

async fn a_session_lives_as_long_as_a_real_provider_confirms_it(world: Rc<World>) -> Outcome {
    let mut provider = provider(&world, ", refresh: 2s").await?;
    let mut browser = Browser::logged_in(&world, &provider).await?;
    let first = browser.cookies.clone();
    // Its refresh tokens are used once: with one that is used twice it would end the session.
    for round in 2..5 {
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let together = cookies(&browser.cookies);
        let client = world.client();
        let send = || client.send(Request::get("/a").field("Cookie", &together));
        let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
        for answer in [a, b, c, d] {
            assert_eq!(answer?.status, 200, "{round}");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(browser.open(&world, "/a").await?.status, 200);
        assert_eq!(provider.count("/token").await?, round, "one request for a token of a login and of each refresh");
    }
    assert_ne!(browser.cookies, first, "the cookie was made anew");
    provider.forget("ada").await?;
    tokio::time::sleep(Duration::from_millis(4_100)).await;
    assert_problem(&browser.send(&world, Request::get("/a")).await?, 401, "credential-expired");
    browser.cookies = first;
    assert_problem(&browser.send(&world, Request::get("/a")).await?, 401, "credential-expired");
    Ok(())
}

async fn claims_of_a_person_who_has_logged_in_are_told_and_decide(world: Rc<World>) -> Outcome {
    let rule = |name: &str, group: &str| {
        format!("{name}: {{kind: condition, allow: \"'{group}' in principal.claims.groups\"}}")
    };
    let provider = provider_for(&world, "", |project| {
        let project = project.policy(&rule("admins", "admins")).policy(&rule("owners", "owners"));
        let project = project.route("{path: /a, authn: staff, identity: {X-Person: claims.sub, X-Org: claims.org}}");
        project
            .route("{path: /admins, authn: staff, authz: admins}")
            .route("{path: /owners, authn: staff, authz: owners}")
    });
    let provider = provider.await?;
    let mut browser = Browser::logged_in(&world, &provider).await?;
    assert_eq!(browser.open(&world, "/a").await?.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!((received.field("x-person"), received.field("x-org")), (Some("ada"), None), "{:?}", received.fields);
    assert_eq!(browser.open(&world, "/admins").await?.status, 200);
    assert_problem(&browser.open(&world, "/owners").await?, 403, "not-authorized");
    Ok(())
}

async fn a_real_provider_ends_the_sessions_of_a_person(world: Rc<World>) -> Outcome {
    let mut provider = provider(&world, ", revocable: true").await?;
    let mut browser = Browser::logged_in(&world, &provider).await?;
    assert_eq!(browser.open(&world, "/a").await?.status, 200);
    let form = provider.logout("ada").await?;
    let told = |form: &str| {
        let request = Request::post("/.login/back-channel-logout", form.to_owned());
        request.field("Content-Type", "application/x-www-form-urlencoded")
    };
    let (head, _) = form.rsplit_once('.').ok_or("no token")?;
    assert_problem(&world.client().send(told(&format!("{head}.AAAA"))).await?, 400, "bad-request");
    assert_eq!(browser.open(&world, "/a").await?.status, 200, "which was no logout");
    let answer = world.client().send(told(&form)).await?;
    assert_eq!((answer.status, answer.field("cache-control")), (200, Some("no-store")), "{}", answer.text());
    // Other isolates look after a session once a minute, and a store may show a record late.
    let end = Instant::now() + Duration::from_secs(150);
    loop {
        let answer = browser.send(&world, Request::get("/a")).await?;
        if answer.status != 200 {
            assert_problem(&answer, 401, "credential-expired");
            break;
        }
        assert!(Instant::now() < end, "the session goes on");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // The person logs in again, and the same message ends nothing more.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut again = Browser::logged_in(&world, &provider).await?;
    assert_eq!(world.client().send(told(&form)).await?.status, 200);
    assert_eq!(again.open(&world, "/a").await?.status, 200);
    // A copy of a cookie ends with the logout.
    let copied = again.cookies.clone();
    assert_eq!(again.open(&world, "/.login/logout").await?.status, 303);
    let mut thief = Browser { cookies: copied, ..Browser::default() };
    let end = Instant::now() + Duration::from_secs(150);
    while thief.send(&world, Request::get("/a")).await?.status == 200 {
        assert!(Instant::now() < end, "the copy goes on");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let logs = world.host.logs().concat();
    assert!(!logs.contains(form.trim_start_matches("logout_token=")));
    Ok(())
}
