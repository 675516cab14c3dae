//! Links: records that say which consumer an identity of a provider is.

use tollgate_core::authn::{Credential, IdentityName, JwtSettings, KeySource, LinkRules, OutageRules, Principal};
use tollgate_core::bounds::CREDENTIAL_FRESH_MS;
use tollgate_core::kinds::PolicyKind as _;
use tollgate_edge::ports::Clock as _;
use tollgate_kv_schemas::{encode, keys};

use crate::tokens::{World, claims, key, settings, token};

fn linking(required: bool) -> JwtSettings {
    let plain = settings(KeySource::Set("https://id.example.com/keys".into(), false));
    let links = Some(LinkRules { claim: "sub".into(), required });
    let rules = tollgate_core::authn::IdentityRules { links, ..plain.rules.clone() };
    JwtSettings { rules, ..plain }
}

fn ada() -> String {
    token("a", &key(1), &claims("ada"))
}

impl World {
    fn link(&self, subject: &str, change: impl FnOnce(&mut Credential)) {
        let name: IdentityName = format!("https://id.example.com sub={subject}").parse().unwrap();
        let mut link = Credential { identity: Some(name.to_string()), ..Credential::of("link-1", "person:ada") };
        change(&mut link);
        self.bench.host.records.put(keys::credential("acme", &name.digest()), encode(&link));
    }

    /// The caller with a token, if it is accepted.
    fn caller(&self, token: &str) -> Option<Principal> {
        let answer = self.get("/pets", token);
        answer.record.principal().filter(|_| answer.status == 200).cloned()
    }

    fn consumer(&self, token: &str) -> Option<String> {
        self.caller(token).map(|caller| caller.consumer)
    }

    fn wait(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }
}

#[test]
fn identities_with_one_link_are_one_consumer() {
    let world = World::new(linking(false));
    world.link("ada", |link| (link.plan, link.groups) = (Some("gold".into()), vec!["editors".into()]));
    world.link("ada.l", |_| {});
    let caller = world.caller(&ada()).unwrap();
    assert_eq!((caller.consumer.as_str(), caller.plan.as_deref()), ("person:ada", Some("gold")));
    assert_eq!((caller.groups, caller.scopes), (vec!["editors".to_owned()], vec!["read".to_owned()]));
    assert!(caller.credential.starts_with("jwt-"), "the credential is the token");
    assert_eq!(world.consumer(&token("a", &key(1), &claims("ada.l"))).as_deref(), Some("person:ada"));
    assert_eq!(world.consumer(&token("a", &key(1), &claims("bob"))).as_deref(), Some("staff:bob"));
}

#[test]
fn a_link_takes_effect_and_ends_within_the_stated_time() {
    let world = World::new(linking(false));
    let text = ada();
    assert_eq!(world.consumer(&text).as_deref(), Some("staff:ada"));
    world.link("ada", |_| {});
    world.wait(CREDENTIAL_FRESH_MS);
    assert_eq!(world.consumer(&text).as_deref(), Some("person:ada"));
    let verified = world.verified.get();
    assert_eq!((world.consumer(&text).as_deref(), world.verified.get()), (Some("person:ada"), verified), "remembered");
    let now = world.bench.host.clock.now();
    world.link("ada", |link| link.expires = Some(now));
    world.wait(CREDENTIAL_FRESH_MS);
    assert_eq!(world.consumer(&text).as_deref(), Some("staff:ada"));
}

#[test]
fn only_registered_identities_are_accepted_where_that_is_required() {
    let world = World::new(linking(true));
    world.check(&ada(), 401, "credential-not-accepted", "token-not-accepted");
    world.link("ada", |_| {});
    assert_eq!(world.consumer(&ada()).as_deref(), Some("person:ada"));
}

#[test]
fn a_store_that_is_away_admits_nobody_as_somebody_else() {
    let world = World::new(linking(false));
    assert!(world.consumer(&ada()).is_some());
    world.wait(CREDENTIAL_FRESH_MS);
    world.bench.host.records.fault.set(true);
    world.check(&ada(), 503, "store-unavailable", "credentials-away");
}

#[test]
fn a_linked_token_is_admitted_in_an_outage_as_its_consumer() {
    let outage = OutageRules { consumers: vec!["person:ada".into()], for_s: 3_600, late_s: 600, after_s: Some(1) };
    let world = World::new(JwtSettings { outage: Some(outage), ..linking(false) });
    world.link("ada", |_| {});
    assert_eq!(world.consumer(&ada()).as_deref(), Some("person:ada"));
    // The token has ended, and nobody has a new one.
    world.wait(3_601_000);
    world.is_away();
    world.get("/pets", &token("b", &key(1), &claims("bob")));
    world.wait(10_000);
    let caller = world.caller(&ada()).expect("it is admitted");
    assert!(caller.in_outage && caller.consumer == "person:ada");
}

#[test]
fn a_link_is_one_read_which_the_policy_declares() {
    assert!(linking(false).uses().link && !settings(KeySource::Static("{}".into())).uses().link);
}
