//! Products, plans, subscriptions and grants: what operators write, and what they are told.

use serde::{Deserialize, Serialize};

use super::is_name;
use super::keys::{is_caller_name, is_note, time};
use super::members::Members;
use super::numbers::numbers;
use super::rotation::parse_duration;
use crate::entitlement::{ENTITLEMENTS_MAX, Entitlements, Grant, ID_BYTES, Plan, PlanNumbers, Product, Subscription};
use crate::order::each_once;
use crate::problem::{Problem, ProblemKind};
use crate::settings::EntitledSettings;
use crate::text::whole;
use crate::time::Timestamp;

/// What an operator changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entitling {
    /// Writes a product.
    SetProduct,
    /// Removes a product.
    RemoveProduct,
    /// Writes a plan.
    SetPlan,
    /// Removes a plan.
    RemovePlan,
    /// Begins a subscription.
    NewSubscription,
    /// Changes the plan or the end of a subscription.
    ChangeSubscription,
    /// Ends a subscription.
    EndSubscription,
    /// Gives a grant.
    NewGrant,
    /// Revokes a grant.
    RevokeGrant,
}

/// What an operator asks for: the thing as far as the request says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitlingRequest {
    change: Entitling,
    thing: Entitlement,
    /// Whether it is done although consumers lose what they are subscribed to.
    force: bool,
}

/// A thing that is written by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Entitlement {
    /// A product.
    Product(Product),
    /// A plan.
    Plan(Plan),
    /// A subscription.
    Subscription(Subscription),
    /// A grant.
    Grant(Grant),
}

/// What is known when a request is decided.
#[derive(Debug)]
pub struct KnownRecords<'k> {
    /// The gateway's name.
    pub gateway: &'k str,
    /// The limits that records may change, by the configuration; absent, none.
    pub settings: Option<&'k EntitledSettings>,
    /// The plans of the configuration.
    pub plans: &'k [String],
    /// The catalogue.
    pub catalogue: &'k Entitlements,
    /// What the consumer of the request is entitled to.
    pub own: &'k Entitlements,
    /// The subscriptions that a removal [takes something from](EntitlingRequest::takes_from), as far as they are known.
    pub subscribed: &'k [Subscription],
    /// Whether there may be more of them, because more consumers have records than are looked through.
    pub may_be_more: bool,
}

/// A page of what consumers are entitled to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementList {
    /// Subscriptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<Subscription>,
    /// Grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// What the next page begins with; absent after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl EntitlingRequest {
    /// Parses the content of a request that is made at `now`.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(change: Entitling, content: &[u8], now: Timestamp) -> Result<Self, Problem> {
        let mut members = Members::parse(content, change.form())?;
        let all = &mut members;
        let thing = match change {
            Entitling::SetProduct => {
                Entitlement::Product(Product { title: title(all)?, apis: all.texts("apis")?, ..product(all)? })
            }
            Entitling::RemoveProduct => Entitlement::Product(product(all)?),
            Entitling::SetPlan => {
                let limits = all.texts("limits")?.iter().map(|text| numbers(text)).collect::<Result<_, _>>()?;
                let product = all.text("product")?;
                Entitlement::Plan(Plan { product, title: title(all)?, limits, ..plan(all)? })
            }
            Entitling::RemovePlan => Entitlement::Plan(plan(all)?),
            Entitling::NewSubscription | Entitling::ChangeSubscription | Entitling::EndSubscription => {
                let (consumer, product) = (consumer(all)?, required(all, "product")?);
                let plan = match change {
                    Entitling::NewSubscription => required(all, "plan")?,
                    Entitling::ChangeSubscription => all.text("plan")?.unwrap_or_default(),
                    _ => String::new(),
                };
                let from = if change == Entitling::NewSubscription { time(all, "from")? } else { None };
                let (id, from) = (Subscription::id_of(&consumer, &product), from.unwrap_or(now));
                let until = time(all, "until")?;
                Entitlement::Subscription(Subscription {
                    id,
                    consumer,
                    product,
                    plan,
                    from,
                    until,
                    ..Subscription::default()
                })
            }
            Entitling::NewGrant => Entitlement::Grant(new_grant(all, now)?),
            Entitling::RevokeGrant => {
                let (consumer, id) = (consumer(all)?, required(all, "id")?);
                Entitlement::Grant(Grant { id, consumer, ..Grant::default() })
            }
        };
        let is_removed = matches!(change, Entitling::RemoveProduct | Entitling::RemovePlan);
        let force = is_removed && members.flag("force")?;
        members.finish()?;
        Ok(Self { change, thing, force })
    }

    /// Whether it has to be known who is subscribed to what it removes.
    #[must_use]
    pub const fn asks_who_is_subscribed(&self) -> bool {
        !self.force && matches!(self.change, Entitling::RemoveProduct | Entitling::RemovePlan)
    }

    /// Whether a subscription that has not ended names what it removes.
    #[must_use]
    pub fn takes_from(&self, one: &Subscription, now: Timestamp) -> bool {
        let is_named = match &self.thing {
            Entitlement::Plan(plan) => one.plan == plan.name,
            Entitlement::Product(product) => one.product == product.name,
            Entitlement::Subscription(_) | Entitlement::Grant(_) => false,
        };
        is_named && self.asks_who_is_subscribed() && one.until.is_none_or(|until| now < until)
    }

    /// The consumer whose entitlements it changes; none for the catalogue.
    #[must_use]
    pub fn consumer(&self) -> Option<&str> {
        self.thing.consumer()
    }

    /// The thing that is written, by the operator of this name.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn decide(
        self,
        known: &KnownRecords<'_>,
        now: Timestamp,
        by: Option<String>,
        random: &[u8; ID_BYTES],
    ) -> Result<Entitlement, Problem> {
        let asks = self.asks_who_is_subscribed();
        let Self { change, mut thing, .. } = self;
        match &mut thing {
            Entitlement::Product(product) => known.decide_product(change, product)?,
            Entitlement::Plan(plan) => known.decide_plan(change, plan)?,
            Entitlement::Subscription(one) => known.decide_subscription(change, one, now)?,
            Entitlement::Grant(grant) => known.decide_grant(change, grant, now, random)?,
        }
        if asks {
            known.check_unused(&thing)?;
        }
        let (count, own) = match thing.consumer() {
            Some(_) => (known.own.count(), "This consumer's subscriptions and grants are"),
            None => (known.catalogue.count(), "The products and plans are"),
        };
        if count >= ENTITLEMENTS_MAX {
            return Err(refuse(format!("{own} at most {ENTITLEMENTS_MAX}, those that ended lately among them.")));
        }
        // Of two changes at one instant, neither is the newer one.
        let changed = now.max(Timestamp::from_micros(known.changed(&thing).as_micros().saturating_add(1)));
        thing.sign(by, changed);
        Ok(thing)
    }
}

impl Entitlement {
    /// The consumer that it is of; none of a product or plan.
    #[must_use]
    pub fn consumer(&self) -> Option<&str> {
        match self {
            Self::Product(_) | Self::Plan(_) => None,
            Self::Subscription(one) => Some(&one.consumer),
            Self::Grant(grant) => Some(&grant.consumer),
        }
    }

    /// What identifies it.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Product(product) => &product.name,
            Self::Plan(plan) => &plan.name,
            Self::Subscription(one) => &one.id,
            Self::Grant(grant) => &grant.id,
        }
    }

    /// The word for what it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Product(_) => "product",
            Self::Plan(_) => "plan",
            Self::Subscription(_) => "subscription",
            Self::Grant(_) => "grant",
        }
    }

    /// As entitlements with nothing else.
    #[must_use]
    pub fn alone(self) -> Entitlements {
        let mut alone = Entitlements::default();
        match self {
            Self::Product(product) => alone.products.push(product),
            Self::Plan(plan) => alone.plans.push(plan),
            Self::Subscription(one) => alone.subscriptions.push(one),
            Self::Grant(grant) => alone.grants.push(grant),
        }
        alone
    }

    fn sign(&mut self, by: Option<String>, changed: Timestamp) {
        let (own_by, own_changed) = match self {
            Self::Product(own) => (&mut own.by, &mut own.changed),
            Self::Plan(own) => (&mut own.by, &mut own.changed),
            Self::Subscription(own) => (&mut own.by, &mut own.changed),
            Self::Grant(own) => (&mut own.by, &mut own.changed),
        };
        (*own_by, *own_changed) = (by, changed);
    }
}

impl KnownRecords<'_> {
    fn decide_product(&self, change: Entitling, product: &mut Product) -> Result<(), Problem> {
        if change == Entitling::RemoveProduct {
            let known = self.catalogue.product(&product.name).ok_or_else(|| self.no_product(&product.name))?;
            if let Some(plan) = self.plans_of(&product.name).next() {
                return Err(refuse(format!(
                    "The product {} has the plan {}. Remove it first.",
                    product.name, plan.name
                )));
            }
            *product = Product { removed: true, ..known.clone() };
            return Ok(());
        }
        let apis = self.settings.map_or(&[][..], |settings| &settings.apis);
        match product.apis.iter().find(|api| !apis.contains(api)) {
            Some(api) => Err(refuse(format!(
                "Gateway {} has no API {api} with a limit that has `at-most` or counts by subscription; {}.",
                self.gateway,
                those(apis.iter().map(String::as_str).collect())
            ))),
            None => Ok(()),
        }
    }

    fn decide_plan(&self, change: Entitling, plan: &mut Plan) -> Result<(), Problem> {
        if change == Entitling::RemovePlan {
            let known = self.catalogue.plan(&plan.name).ok_or_else(|| self.no_plan(&plan.name))?;
            *plan = Plan { removed: true, ..known.clone() };
            return Ok(());
        }
        if let Some(product) = plan.product.as_ref().filter(|product| self.catalogue.product(product).is_none()) {
            return Err(self.no_product(product));
        }
        for (place, numbers) in plan.limits.iter().enumerate() {
            self.check_numbers(numbers)?;
            if plan.limits[..place].iter().any(|earlier| earlier.policy == numbers.policy) {
                return Err(refuse(format!("The plan {} would have two numbers for {}.", plan.name, numbers.policy)));
            }
        }
        Ok(())
    }

    /// Checks that nobody is subscribed to what is removed.
    fn check_unused(&self, thing: &Entitlement) -> Result<(), Problem> {
        let (kind, name, count) = (thing.kind(), thing.id(), self.subscribed.len());
        let force = "remove it with `--force` (at the operator endpoint: `\"force\": true`)";
        if count == 0 {
            let unknown = format!(
                "More consumers have records than one call looks through, so a subscription may use the {kind} {name}. Read the list of \
                 subscriptions, then {force}."
            );
            return if self.may_be_more { Err(refuse(unknown)) } else { Ok(()) };
        }
        let shown = self.subscribed.iter().map(|one| format!("{} to {}", one.consumer, one.product)).collect();
        let mut shown = each_once(shown);
        if count > SHOWN_MAX {
            shown.truncate(SHOWN_MAX);
            shown.push("others".to_owned());
        }
        let (least, shown) = (if self.may_be_more { "at least " } else { "" }, shown.join(", "));
        let plural = if count == 1 { "" } else { "s" };
        Err(refuse(format!(
            "The {kind} {name} is in use by {least}{count} subscription{plural}: {shown}. Change or end them first, or {force}."
        )))
    }

    fn decide_subscription(&self, change: Entitling, one: &mut Subscription, now: Timestamp) -> Result<(), Problem> {
        let known = self.own.subscriptions.iter().find(|known| known.id == one.id);
        let current = known.filter(|known| known.until.is_none_or(|until| now < until));
        if change == Entitling::NewSubscription {
            if let Some(current) = current {
                let detail = format!(
                    "{} is subscribed to {} already, with the plan {} ({}). Change that subscription.",
                    one.consumer, one.product, current.plan, current.id
                );
                return Err(refuse(detail));
            }
        } else {
            let current = current.ok_or_else(|| {
                let detail = format!("{} has no subscription to {} that could be changed.", one.consumer, one.product);
                Problem::plain(ProblemKind::ResourceNotFound, detail)
            })?;
            let until = if change == Entitling::EndSubscription {
                one.until.or(Some(now))
            } else {
                one.until.or(current.until)
            };
            let plan = if one.plan.is_empty() { current.plan.clone() } else { std::mem::take(&mut one.plan) };
            *one = Subscription { plan, until, ..current.clone() };
        }
        if one.until.is_some_and(|until| until < one.from || until < now) {
            return Err(refuse("`until` is before the subscription begins, or in the past."));
        }
        if change == Entitling::EndSubscription {
            return Ok(());
        }
        if self.catalogue.product(&one.product).is_none() {
            return Err(self.no_product(&one.product));
        }
        match self.catalogue.plan(&one.plan) {
            None if self.plans.contains(&one.plan) => Ok(()),
            None => Err(self.no_plan(&one.plan)),
            Some(Plan { product: Some(product), .. }) if *product != one.product => {
                Err(refuse(format!("The plan {} is one of the product {product}, not of {}.", one.plan, one.product)))
            }
            Some(_) => Ok(()),
        }
    }

    fn decide_grant(
        &self,
        change: Entitling,
        grant: &mut Grant,
        now: Timestamp,
        random: &[u8; ID_BYTES],
    ) -> Result<(), Problem> {
        if change == Entitling::RevokeGrant {
            let known = self.own.grants.iter().find(|known| known.id == grant.id).ok_or_else(|| {
                let detail = format!("{} has no grant {}.", grant.consumer, printable(&grant.id));
                Problem::plain(ProblemKind::ResourceNotFound, detail)
            })?;
            *grant = Grant { revoked: true, ..known.clone() };
            return Ok(());
        }
        if grant.until <= now || grant.until <= grant.from {
            return Err(refuse("`until` of a grant is in the past, or before it begins. It would raise nothing."));
        }
        if let Some(product) = grant.product.as_ref().filter(|product| self.catalogue.product(product).is_none()) {
            return Err(self.no_product(product));
        }
        self.check_number(&grant.policy, grant.to.unwrap_or(0))?;
        grant.id = Grant::new_id(random);
        Ok(())
    }

    /// Checks that records may give a limit these numbers.
    pub(super) fn check_numbers(&self, numbers: &PlanNumbers) -> Result<(), Problem> {
        self.check_number(&numbers.policy, numbers.count.max(numbers.burst.unwrap_or(0)))
    }

    fn check_number(&self, policy: &str, number: u32) -> Result<(), Problem> {
        let limits = self.settings.map_or(&[][..], |settings| &settings.limits);
        let Some(limit) = limits.iter().find(|limit| limit.policy == policy) else {
            return Err(refuse(format!(
                "Gateway {} has no limit {} with `at-most`, so no record can change it; {}.",
                self.gateway,
                printable(policy),
                those(limits.iter().map(|limit| limit.policy.as_str()).collect())
            )));
        };
        if number > limit.at_most.get() {
            return Err(refuse(format!(
                "{number} is more than the {} that the limit {policy} allows (`at-most`).",
                limit.at_most
            )));
        }
        Ok(())
    }

    fn plans_of(&self, product: &str) -> impl Iterator<Item = &Plan> {
        self.catalogue.plans.iter().filter(move |plan| !plan.removed && plan.product.as_deref() == Some(product))
    }

    /// When the thing was changed last.
    fn changed(&self, thing: &Entitlement) -> Timestamp {
        let id = thing.id();
        let found = match thing {
            Entitlement::Product(_) => self.catalogue.products.iter().find(|own| own.name == id).map(|own| own.changed),
            Entitlement::Plan(_) => self.catalogue.plans.iter().find(|own| own.name == id).map(|own| own.changed),
            Entitlement::Subscription(_) => {
                self.own.subscriptions.iter().find(|own| own.id == id).map(|own| own.changed)
            }
            Entitlement::Grant(_) => self.own.grants.iter().find(|own| own.id == id).map(|own| own.changed),
        };
        found.unwrap_or_default()
    }

    fn no_product(&self, name: &str) -> Problem {
        let known = self.catalogue.products.iter().filter(|own| !own.removed).map(|own| own.name.as_str());
        self.none_of("product", name, known.collect())
    }

    fn no_plan(&self, name: &str) -> Problem {
        let known = self.catalogue.plans.iter().filter(|own| !own.removed).map(|own| own.name.as_str());
        self.none_of("plan", name, known.collect())
    }

    fn none_of(&self, kind: &str, name: &str, known: Vec<&str>) -> Problem {
        refuse(format!("Gateway {} has no {kind} {}; {}.", self.gateway, printable(name), those(known)))
    }
}

impl Entitling {
    /// What to send.
    const fn form(self) -> &'static str {
        match self {
            Self::SetProduct => r#"{"name": "pets", "apis": ["pets"], "title": "Pet shop"}"#,
            Self::RemoveProduct | Self::RemovePlan => {
                r#"{"name": "pets"}, with `"force": true` if it is removed although consumers are subscribed to it"#
            }
            Self::SetPlan => r#"{"name": "pro", "product": "pets", "limits": ["monthly=100000", "burst=100/s:200"]}"#,
            Self::NewSubscription => {
                r#"{"consumer": "acme", "product": "pets", "plan": "pro"}, with `from` and `until` where it is for a time"#
            }
            Self::ChangeSubscription => r#"{"consumer": "acme", "product": "pets", "plan": "pro"}"#,
            Self::EndSubscription => r#"{"consumer": "acme", "product": "pets"}"#,
            Self::NewGrant => {
                r#"{"consumer": "acme", "policy": "monthly", "raise": "2000", "for": "7d", "why": "launch"}; `raise` may be "150%""#
            }
            Self::RevokeGrant => r#"{"consumer": "acme", "id": "grant-0123456789ab"}"#,
        }
    }
}

fn product(members: &mut Members) -> Result<Product, Problem> {
    Ok(Product { name: required(members, "name")?, ..Product::default() })
}

fn plan(members: &mut Members) -> Result<Plan, Problem> {
    Ok(Plan { name: required(members, "name")?, ..Plan::default() })
}

fn title(members: &mut Members) -> Result<Option<String>, Problem> {
    note(members, "title")
}

/// A name that is required.
fn required(members: &mut Members, name: &str) -> Result<String, Problem> {
    let text = members.text(name)?.ok_or_else(|| members.missing(name))?;
    if is_name(&text) {
        Ok(text)
    } else {
        Err(refuse(format!("`{name}` has 1 to 80 letters, digits, `-`, `_` and `.`.")))
    }
}

fn consumer(members: &mut Members) -> Result<String, Problem> {
    let text = members.text("consumer")?.ok_or_else(|| members.missing("consumer"))?;
    if is_caller_name(&text) { Ok(text) } else { Err(refuse("`consumer` has 1 to 200 visible characters.")) }
}

fn note(members: &mut Members, name: &str) -> Result<Option<String>, Problem> {
    let text = members.text(name)?;
    match text.as_deref().is_none_or(is_note) {
        true => Ok(text),
        false => Err(refuse(format!("`{name}` has 1 to 200 characters, and no control characters."))),
    }
}

fn new_grant(members: &mut Members, now: Timestamp) -> Result<Grant, Problem> {
    let consumer = consumer(members)?;
    let policy = required(members, "policy")?;
    let raise = members.text("raise")?.ok_or_else(|| members.missing("raise"))?;
    if raise.starts_with('+') {
        let detail =
            "`raise` is what the limit is raised to, not by how much. Write the whole number, or a share such as 150%.";
        return Err(refuse(detail));
    }
    let percent = raise.strip_suffix('%');
    let number = whole(percent.unwrap_or(&raise));
    let number = number.filter(|number| *number > if percent.is_some() { 100 } else { 0 });
    let number =
        number.ok_or_else(|| refuse("`raise` is a number such as 2000, or a share above 100% such as 150%."))?;
    let (to, percent) = if percent.is_some() { (None, Some(number)) } else { (Some(number), None) };
    let from = time(members, "from")?.unwrap_or(now);
    let until = match (time(members, "until")?, members.text("for")?) {
        (Some(until), None) => until,
        (None, Some(text)) => {
            let seconds = parse_duration(&text).filter(|seconds| *seconds <= GRANT_S_MAX);
            from.plus_millis(
                seconds.ok_or_else(|| {
                    refuse("`for` is a whole number with s, m, h, d or w, such as 7d or 2w; at most 366d.")
                })? * 1_000,
            )
        }
        _ => return Err(refuse("A grant ends: give one of `until` and `for`.")),
    };
    if until > from.plus_millis(GRANT_S_MAX * 1_000) {
        return Err(refuse("A grant lasts at most 366 days."));
    }
    let why = note(members, "why")?.ok_or_else(|| members.missing("why"))?;
    let (product, validated_by) = (members.text("product")?, note(members, "validated_by")?);
    Ok(Grant { consumer, product, policy, to, percent, from, until, why, validated_by, ..Grant::default() })
}

/// What there is, for a problem.
fn those(mut names: Vec<&str>) -> String {
    names.truncate(SHOWN_MAX);
    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
}

/// A name of a request, as far as it can be repeated.
pub(super) fn printable(name: &str) -> &str {
    if name.len() <= SHOWN_BYTES_MAX && name.bytes().all(|b| b.is_ascii_graphic()) { name } else { "of this name" }
}

pub(super) fn refuse(detail: impl Into<String>) -> Problem {
    Problem::plain(ProblemKind::BadRequest, detail.into())
}

const SHOWN_MAX: usize = 20;
const SHOWN_BYTES_MAX: usize = 80;

/// A grant is a raise for a while: what lasts longer is a plan.
const GRANT_S_MAX: u64 = 366 * 86_400;
