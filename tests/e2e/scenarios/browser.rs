//! People who log in with a real browser, at the forms of a real provider. The browser decides about cookies, redirects and its cache.

use std::rc::Rc;

use tollgate_tests::browser::{Browser, Page, Person};
use tollgate_tests::identity_provider::IdentityProvider;

use crate::lane::HOST_SECRET;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::World;

scenarios! { "authenticate";
    a_browser_logs_in_and_comes_back_to_its_page,
    two_tabs_of_a_browser_log_in_side_by_side,
    a_browser_does_not_take_the_login_of_somebody_else,
    a_browser_shows_nothing_after_the_logout,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A gateway behind HTTPS, with pages for which people log in.
struct Portal {
    world: Rc<World>,
    browser: Rc<Browser>,
    provider: IdentityProvider,
    /// `https://HOST:PORT`
    origin: String,
}

impl Portal {
    async fn new(world: &Rc<World>) -> Result<Self> {
        let browser = Browser::shared(world.artifacts()).await?;
        let port = browser.serve(&format!("http://{}", world.host.client().host())).await?;
        let origin = format!("https://{}:{port}", world.domain);
        let portal = ("portal", HOST_SECRET.1, &*format!("{origin}/.login/callback"));
        let provider = IdentityProvider::with_forms((world.artifacts(), world.secrets()), portal).await?;
        let policy = format!(
            "staff: {{kind: oidc-login, issuer: \"{}\", client-id: portal, client-secret: \"${{secret.UPSTREAM_TOKEN}}\", \
             secret: \"${{secret.UPSTREAM_TOKEN}}${{secret.UPSTREAM_TOKEN}}\", private-network: true}}",
            provider.url()
        );
        let project = Project::new(world)
            .gateway("trusted-proxies: [\"127.0.0.0/8\", \"::1\"]")
            .policy(&policy)
            .route("{path: /, authn: none}")
            .route("{path: \"/{*page}\", authn: staff, identity: {X-Person: consumer}}");
        world.publish(project).await?;
        world.secret(PASSWORD);
        Ok(Self { world: Rc::clone(world), browser, provider, origin })
    }

    fn url(&self, target: &str) -> String {
        format!("{}{target}", self.origin)
    }

    /// A page of another site.
    fn other_site(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.provider.url())
    }

    fn person(&self, name: &str) -> Person {
        Person::new(&self.browser, name)
    }

    /// Fills in the forms of the provider, which the tab shows: who the person is, and that the portal may know it, if it asks.
    async fn log_in(&self, person: &Person, tab: &str, name: &str) -> Result<Page> {
        let fields = [("[name=login]", name), ("[name=password]", PASSWORD)];
        let mut page = person.send(tab, &fields, SUBMIT).await?;
        if page.stopped.is_none() && page.url.starts_with(self.provider.url()) {
            page = person.send(tab, &[], SUBMIT).await?;
        }
        for url in page.redirects.iter().chain(&page.stopped) {
            self.note_parameters(url);
        }
        for cookie in person.cookies(&self.origin).await? {
            self.world.secret(&cookie.value);
        }
        Ok(page)
    }

    /// What a URL of a login contains is as secret as a token.
    fn note_parameters(&self, url: &str) {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
        parameters.filter(|(name, _)| ["code", "state"].contains(name)).for_each(|(_, value)| self.world.secret(value));
    }

    /// Checks that a tab shows a form of the provider, and nothing of the gateway's pages.
    #[track_caller]
    fn assert_asks_who(&self, page: &Page) {
        assert!(page.url.starts_with(self.provider.url()), "{page:?}");
        assert!(page.text.contains("Sign-in"), "{page:?}");
    }

    /// Checks that a tab shows this page of the gateway, to this person.
    #[track_caller]
    fn assert_shows(&self, page: &Page, target: &str, name: &str) {
        assert_eq!((&page.url, page.status), (&self.url(target), 200), "{page:?}");
        assert!(page.text.contains(&format!("\"staff:{name}\"")), "{page:?}");
    }
}

/// Every one does at the provider of the tests.
const PASSWORD: &str = "correct horse battery staple";

/// The button of a form.
const SUBMIT: &str = "button[type=submit]";

async fn a_browser_logs_in_and_comes_back_to_its_page(world: Rc<World>) -> Outcome {
    let mut portal = Portal::new(&world).await?;
    let ada = portal.person("ada");
    let target = "/reports/may?of=2026&name=%C3%A4";
    let asked = ada.visit("a", &portal.url(target)).await?;
    portal.assert_asks_who(&asked);
    assert_eq!(asked.redirects.first(), Some(&portal.url(target)));
    assert_eq!(world.upstream.report().total(), 0);

    let page = portal.log_in(&ada, "a", "ada").await?;
    portal.assert_shows(&page, target, "ada");
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!((received.target.as_str(), received.field("cookie")), (target, None));

    let cookies = ada.cookies(&portal.origin).await?;
    let [session] = cookies.as_slice() else { return Err(format!("not one cookie: {cookies:?}").into()) };
    assert_eq!((session.name.as_str(), session.path.as_str()), ("__Host-session", "/"));
    assert_eq!(session.domain, world.domain, "no other host gets it");
    assert!(session.http_only && session.secure, "{session:?}");
    assert_eq!(session.same_site.as_deref(), Some("Lax"));
    assert_eq!(page.scripts_see, "", "no script sees it");
    assert!(ada.cookies(&portal.origin.replace("https:", "http:")).await?.is_empty());

    let logins = portal.provider.count("/auth").await?;
    for tab in ["a", "b"] {
        let second = ada.visit(tab, &portal.url("/reports/june")).await?;
        portal.assert_shows(&second, "/reports/june", "ada");
        assert_eq!(second.redirects, Vec::<String>::new());
    }
    assert_eq!(portal.provider.count("/auth").await?, logins, "nobody asked the provider again");
    Ok(())
}

async fn two_tabs_of_a_browser_log_in_side_by_side(world: Rc<World>) -> Outcome {
    let portal = Portal::new(&world).await?;
    let mut ada = portal.person("ada");
    // A login has one of sixteen cookies, by chance: two of three may have the same. Not as often as this.
    for _ in 0..TRIES {
        for tab in TABS {
            portal.assert_asks_who(&ada.visit(tab, &portal.url(&format!("/of?tab={tab}"))).await?);
        }
        if ada.cookies(&portal.origin).await?.len() == TABS.len() {
            break;
        }
        ada = portal.person("ada");
    }
    for tab in ["b", "a", "c"] {
        let page = portal.log_in(&ada, tab, "ada").await?;
        portal.assert_shows(&page, &format!("/of?tab={tab}"), "ada");
    }
    let cookies = ada.cookies(&portal.origin).await?;
    assert_eq!(cookies.len(), 1, "those of the logins are gone: {cookies:?}");
    Ok(())
}

const TABS: [&str; 3] = ["a", "b", "c"];

/// One in five fails.
const TRIES: u32 = 20;

/// Login CSRF: RFC 6749, section 10.12.
async fn a_browser_does_not_take_the_login_of_somebody_else(world: Rc<World>) -> Outcome {
    let portal = Portal::new(&world).await?;
    let (eve, ada) = (portal.person("eve"), portal.person("ada"));
    eve.visit("a", &portal.url("/eve")).await?;
    eve.stop_at("a", &portal.url("/.login/callback")).await?;
    let kept = portal.log_in(&eve, "a", "eve").await?.stopped.ok_or("eve's browser used the answer itself")?;

    let refused = ada.visit("a", &kept).await?;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert!(ada.cookies(&portal.origin).await?.is_empty());
    // Ada is about to log in, and a link on the page of another site leads to it.
    portal.assert_asks_who(&ada.visit("a", &portal.url("/ada")).await?);
    ada.visit("b", &portal.other_site()).await?;
    let refused = ada.follow("b", &kept).await?;
    assert_eq!(refused.status, 401, "{refused:?}");
    let page = portal.log_in(&ada, "a", "ada").await?;
    portal.assert_shows(&page, "/ada", "ada");
    // Who is logged in stays who it is.
    ada.visit("a", &kept).await?;
    portal.assert_shows(&ada.visit("a", &portal.url("/ada")).await?, "/ada", "ada");
    assert!(!world.upstream.report().requests().iter().any(|one| one.field("x-person") == Some("staff:eve")));
    Ok(())
}

async fn a_browser_shows_nothing_after_the_logout(world: Rc<World>) -> Outcome {
    let portal = Portal::new(&world).await?;
    let ada = portal.person("ada");
    // The upstream lets browsers keep its pages.
    let salaries = "/salaries?field=Cache-Control:max-age%3D3600";
    ada.visit("a", &portal.url(salaries)).await?;
    let page = portal.log_in(&ada, "a", "ada").await?;
    portal.assert_shows(&page, salaries, "ada");
    ada.visit("a", &portal.url("/")).await?;
    let asked = world.upstream.report().total();
    portal.assert_shows(&ada.back("a", 1).await?, salaries, "ada");
    assert_eq!(world.upstream.report().total(), asked, "the back button shows what the browser has kept");
    // A link on another site ends nobody's session.
    ada.visit("b", &portal.other_site()).await?;
    let refused = ada.follow("b", &portal.url("/.login/logout")).await?;
    assert_eq!(refused.status, 401, "{refused:?}");
    portal.assert_shows(&ada.visit("b", &portal.url("/other")).await?, "/other", "ada");

    let asked = ada.follow("a", &portal.url("/.login/logout")).await?;
    assert!(asked.url.starts_with(portal.provider.url()) && asked.text.contains("sign-out"), "{asked:?}");
    assert!(ada.cookies(&portal.origin).await?.is_empty());
    let out = ada.send("a", &[], "button[name=logout]").await?;
    assert_eq!((&out.url, out.status), (&portal.url("/"), 200), "{out:?}");

    // The page before this one is the question of the provider.
    portal.assert_asks_who(&ada.back("a", 2).await?);
    for tab in ["a", "b", "c"] {
        portal.assert_asks_who(&ada.visit(tab, &portal.url(salaries)).await?);
    }
    Ok(())
}
