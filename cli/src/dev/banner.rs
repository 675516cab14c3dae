//! The message when a project has started: its addresses, its routes, and commands to try.

use std::net::SocketAddr;

use http::Method;
use tollgate_config::{CompiledRoute, Whole};
use tollgate_core::authn::{BasicSettings, Credential, CredentialPlace, NameAndPassword};
use tollgate_core::kinds::AuthnPolicy;
use tollgate_core::route::{HostPattern, PathTemplate};
use tollgate_core::settings::RouteSettings;

use super::Session;
use crate::project::Place;
use crate::route_table::{duration, route_table};
use crate::terminal::heading;

/// Prints that the project is served at `url`.
pub(super) fn banner(session: &Session, url: &str, admin: Option<SocketAddr>) -> String {
    let Session { snapshot, options, project, .. } = session;
    let mut out = format!(
        "\n{} serves the gateway {} ({}) on {}\n\n",
        heading(&format!("Tollgate {}", env!("CARGO_PKG_VERSION"))),
        snapshot.gateway,
        project.name(),
        options.on.name()
    );
    out.push_str(&format!("  gateway  {url}\n"));
    if let Some(admin) = admin {
        out.push_str(&format!("  admin    http://{admin}  (health, metrics)\n"));
    }
    if let Some(echo) = &session.echo {
        out.push_str(&format!(
            "  echo     http://{}  (answers with the request it received; --no-echo)\n",
            echo.address
        ));
    }
    let routes: Vec<_> = snapshot.whole.routes.iter().collect();
    out.push_str(&format!("\n{}\n", route_table(&snapshot.whole, &routes, false)));
    let takes_keys = || snapshot.whole.routes.iter().any(|route| key_place(&snapshot.whole, &route.settings).is_some());
    if let Some((sample, _)) = snapshot.sample.as_ref().filter(|_| takes_keys()) {
        let line = format!("A valid key (consumer {}, from dev/fixtures.yaml):", sample.consumer);
        out.push_str(&format!("{}\n  {}\n\n", heading(&line), sample.key.expose()));
    }
    let lines = curl_lines(session, url);
    if !lines.is_empty() {
        out.push_str(&format!("{}\n", heading("Try:")));
        lines.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
        out.push('\n');
    }
    if has_login(&snapshot.whole) {
        out.push_str(&login_hint(url, &snapshot.gateway, &project.name()));
    }
    if let Place::Folder(_) = project.place {
        out.push_str("Edit the project's files: changes take effect immediately. ");
    }
    out.push_str("Press Ctrl-C to stop.\n\n");
    out
}

/// Whether people log in with their browsers.
fn has_login(whole: &Whole) -> bool {
    whole.policies.authn.iter().any(|named| matches!(named.policy, AuthnPolicy::OidcLogin(_)))
}

/// Why a login does not work over plain HTTP, and how to try it.
fn login_hint(url: &str, gateway: &str, project: &str) -> String {
    if url.starts_with("https:") {
        return String::new();
    }
    format!(
        "{}\n  Browsers keep cookies whose names begin with `__Host-`, as those of `oidc-login`, only over HTTPS. To try it with TLS:\n  \
         tollgate publish {project} --to native --store dev.db\n  \
         tollgate serve --store dev.db --gateway {gateway} --listen 127.0.0.1:8443 --tls-cert cert.pem --tls-key key.pem\n\n",
        heading("Logins need HTTPS:")
    )
}

/// The first public route, the first that needs a key, and the first cached one.
fn curl_lines(session: &Session, url: &str) -> Vec<String> {
    let whole = &session.snapshot.whole;
    let sample = session.snapshot.sample.as_ref();
    let is_public = |route: &&&CompiledRoute| route.settings.authn.is_empty();
    let mut usable: Vec<&CompiledRoute> = whole.routes.iter().filter(|route| is_plain_get(&route.settings)).collect();
    // A limited route shows more about keys than an unlimited one.
    usable.sort_by_key(|route| !route.settings.is_limited());
    let public = usable.iter().filter(|route| is_public(route) && route.settings.cache.is_none()).take(1);
    let cached = usable.iter().filter(|route| is_public(route) && route.settings.cache.is_some()).take(1);
    let keyed = usable.iter().find_map(|route| {
        let (key, credential) = sample?;
        let settings = key_place(whole, &route.settings).filter(|_| may(credential, &route.settings))?;
        let (text, name) = (key.key.expose(), &credential.consumer);
        let text = if is_basic(settings) { NameAndPassword::encode(name, text) } else { text.to_owned() };
        Some(curl(route, url, Some((settings, &text))))
    });
    let mut lines: Vec<String> = public.map(|route| curl(route, url, None)).collect();
    lines.extend(keyed);
    lines.extend(cached.map(|route| {
        let ttl = route.settings.cache.as_ref().and_then(|cache| cache.ttl_ms);
        let hint = ttl.map_or_else(String::new, |ttl| format!("   # twice within {}: a hit", duration(ttl)));
        curl(route, url, None) + &hint
    }));
    lines
}

/// Whether a key is the password of its consumer.
fn is_basic(place: &CredentialPlace) -> bool {
    *place == BasicSettings::place()
}

fn is_plain_get(route: &RouteSettings) -> bool {
    !route.internal && route.when.is_empty() && route.methods.takes(&Method::GET)
}

fn may(credential: &Credential, route: &RouteSettings) -> bool {
    route.missing_scopes(&credential.scopes).is_empty()
}

fn key_place<'a>(whole: &'a Whole, route: &'a RouteSettings) -> Option<&'a CredentialPlace> {
    route.policies(&whole.policies).find_map(|policy| policy.uses.key_place())
}

fn curl(route: &CompiledRoute, url: &str, key: Option<(&CredentialPlace, &str)>) -> String {
    let mut line = "curl -i".to_owned();
    match route.hosts.last() {
        None | Some(HostPattern::Any) => {}
        Some(HostPattern::Exact(host)) => line.push_str(&format!(" -H 'Host: {host}'")),
        Some(HostPattern::Wildcard(suffix)) => line.push_str(&format!(" -H 'Host: any.{suffix}'")),
    }
    if let Some((settings, key)) = key {
        let scheme = settings.scheme.as_ref().map(|scheme| format!("{scheme} ")).unwrap_or_default();
        line.push_str(&format!(" -H '{}: {scheme}{key}'", settings.field));
    }
    line + &format!(" {url}{}", sample_path(&route.settings.path))
}

/// A path for a command to try. Its literals are percent-encoded, so that a shell needs no quotes.
fn sample_path(template: &PathTemplate) -> String {
    let path = template.shape().replace("{*}", "hello").replace("{}", "hello");
    // The remaining parameters match only certain values.
    if path.contains('{') { template.witness() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_suggested_only_where_one_is_read() {
        let text = "format: 1\ngateway: {name: g}\nupstreams: {u: \"http://u\"}\n\
                    policies: {own: {kind: api-key}, staff: {kind: jwt, issuer: \"https://id.example\", audience: a}}\n\
                    apis: {a: {upstream: u, routes: [{path: /k, authn: {any: [staff, own]}}, {path: /t, authn: staff}]}}\n";
        let compiled = tollgate_analysis::compile_str("tollgate.yaml", text).expect("a project");
        let whole = compiled.whole();
        let places: Vec<_> = whole.routes.iter().map(|route| key_place(whole, &route.settings)).collect();
        let fields: Vec<_> = places.iter().map(|place| place.map(|place| place.scheme.as_deref())).collect();
        assert_eq!(fields, [Some(None), None], "{places:?}");
    }

    #[track_caller]
    fn check(template: &str, path: &str) {
        let template: PathTemplate = template.parse().expect("a template");
        assert_eq!(sample_path(&template), path);
    }

    #[test]
    fn a_suggested_path_matches_the_route() {
        check("/pets", "/pets");
        check("/pets/{id}/toys/{*rest}", "/pets/hello/toys/hello");
        check("/categories/{category:(books|games)}", "/categories/books");
        check("/a/{n:int}", &PathTemplate::witness(&"/a/{n:int}".parse().expect("a template")));
    }
}
