//! The resources: each has a method, a path and a role.

use http::Method;

use super::{Entitling, Role};

/// One resource. docs/operator.md describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Returns metrics.
    Metrics,
    /// Purges stored responses.
    NewPurge,
    /// Creates an API key.
    NewKey,
    /// Lists API keys.
    ListKeys,
    /// Returns the metadata of an API key.
    ShowKey,
    /// Creates an API key that replaces another one.
    RotateKey,
    /// Revokes an API key.
    RevokeKey,
    /// Tells whether a secret has a value.
    ShowSecret,
    /// Tells what is known of outages of a policy's provider.
    ShowOutage,
    /// Admits known tokens while the provider of a policy is away.
    AllowOutage,
    /// Ends that.
    EndOutage,
    /// Revokes tokens that were admitted meanwhile.
    RevokeTokens,
    /// Returns products and plans.
    ShowCatalogue,
    /// Lists subscriptions and grants.
    ListEntitlements,
    /// Lists batches of usage.
    ListUsage,
    /// Changes a product, plan, subscription or grant.
    Entitle(Entitling),
}

/// The resource of a method and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'p> {
    /// A resource, and the path segment that is its parameter; empty if it has none.
    Resource(Resource, &'p str),
    /// The path exists with these methods only.
    OtherMethods(Vec<Method>),
    /// The path does not exist.
    Nothing,
}

/// The constant properties of a resource.
struct Facts {
    method: Method,
    /// The path below the prefix; `{}` matches one segment.
    path: &'static str,
    role: Role,
    /// Its name in the audit log.
    action: &'static str,
    /// Whether it changes something; if so, its audit is also stored as a record.
    changes: bool,
    /// Whether its request has content.
    has_content: bool,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 24] = [
        Self::Metrics,
        Self::NewPurge,
        Self::NewKey,
        Self::ListKeys,
        Self::ShowKey,
        Self::RotateKey,
        Self::RevokeKey,
        Self::ShowSecret,
        Self::ShowOutage,
        Self::AllowOutage,
        Self::EndOutage,
        Self::RevokeTokens,
        Self::ShowCatalogue,
        Self::ListEntitlements,
        Self::ListUsage,
        Self::Entitle(Entitling::SetProduct),
        Self::Entitle(Entitling::RemoveProduct),
        Self::Entitle(Entitling::SetPlan),
        Self::Entitle(Entitling::RemovePlan),
        Self::Entitle(Entitling::NewSubscription),
        Self::Entitle(Entitling::ChangeSubscription),
        Self::Entitle(Entitling::EndSubscription),
        Self::Entitle(Entitling::NewGrant),
        Self::Entitle(Entitling::RevokeGrant),
    ];

    fn facts(self) -> Facts {
        use Role::{Operate, Purge, Read};
        match self {
            Self::Metrics => Facts::reads("v1/metrics", Read, "metrics.read"),
            Self::NewPurge => Facts::takes("v1/purges", Purge, "purge.new"),
            Self::NewKey => Facts::takes("v1/keys", Operate, "key.new"),
            Self::ListKeys => Facts::reads("v1/keys", Read, "key.list"),
            Self::RotateKey => Facts::takes("v1/keys/{}/rotate", Operate, "key.rotate"),
            Self::ShowKey => Facts::reads("v1/keys/{}", Read, "key.show"),
            Self::ShowSecret => Facts::reads("v1/secrets/{}", Read, "secret.show"),
            Self::RevokeKey => Facts::changes("v1/keys/{}/revoke", Operate, "key.revoke"),
            Self::ShowOutage => Facts::reads("v1/idp-outages/{}", Read, "idp-outage.show"),
            Self::AllowOutage => Facts::takes("v1/idp-outages/{}/allow", Operate, "idp-outage.allow"),
            Self::EndOutage => Facts::changes("v1/idp-outages/{}/end", Operate, "idp-outage.end"),
            Self::RevokeTokens => Facts::takes("v1/idp-outages/{}/revoke", Operate, "idp-outage.revoke"),
            Self::ShowCatalogue => Facts::reads("v1/catalogue", Read, "catalogue.show"),
            Self::ListEntitlements => Facts::reads("v1/entitlements", Read, "entitlement.list"),
            Self::ListUsage => Facts::reads("v1/usage", Read, "usage.list"),
            Self::Entitle(change) => {
                let (path, action) = match change {
                    Entitling::SetProduct => ("v1/products", "product.set"),
                    Entitling::RemoveProduct => ("v1/products/remove", "product.remove"),
                    Entitling::SetPlan => ("v1/plans", "plan.set"),
                    Entitling::RemovePlan => ("v1/plans/remove", "plan.remove"),
                    Entitling::NewSubscription => ("v1/subscriptions", "subscription.new"),
                    Entitling::ChangeSubscription => ("v1/subscriptions/change", "subscription.change"),
                    Entitling::EndSubscription => ("v1/subscriptions/end", "subscription.end"),
                    Entitling::NewGrant => ("v1/grants", "grant.new"),
                    Entitling::RevokeGrant => ("v1/grants/revoke", "grant.revoke"),
                };
                Facts::takes(path, Operate, action)
            }
        }
    }

    /// Its method; HEAD is treated as GET.
    #[must_use]
    pub fn method(self) -> Method {
        self.facts().method
    }

    /// The path below the endpoint's prefix; `{}` matches one segment.
    #[must_use]
    pub fn path(self) -> &'static str {
        self.facts().path
    }

    /// The required role.
    #[must_use]
    pub fn role(self) -> Role {
        self.facts().role
    }

    /// Its name in the audit log.
    #[must_use]
    pub fn action(self) -> &'static str {
        self.facts().action
    }

    /// Whether it changes something.
    #[must_use]
    pub fn changes(self) -> bool {
        self.facts().changes
    }

    /// Whether its request has content, which is JSON.
    #[must_use]
    pub fn has_content(self) -> bool {
        self.facts().has_content
    }

    /// The resource at a path below the prefix.
    #[must_use]
    pub fn find<'p>(method: &Method, path: &'p str) -> Found<'p> {
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        let at_path = Self::ALL.into_iter().filter_map(|resource| Some((resource, parameter(resource.path(), path)?)));
        let mut methods = Vec::new();
        for (resource, parameter) in at_path {
            if resource.method() == *asked {
                return Found::Resource(resource, parameter);
            }
            methods.push(resource.method());
        }
        if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods) }
    }
}

impl Facts {
    const fn reads(path: &'static str, role: Role, action: &'static str) -> Self {
        Self { method: Method::GET, path, role, action, changes: false, has_content: false }
    }

    /// A resource that changes something and has a JSON request.
    const fn takes(path: &'static str, role: Role, action: &'static str) -> Self {
        Self { method: Method::POST, path, role, action, changes: true, has_content: true }
    }

    /// A resource that changes what its path identifies.
    const fn changes(path: &'static str, role: Role, action: &'static str) -> Self {
        Self { method: Method::POST, path, role, action, changes: true, has_content: false }
    }
}

/// The segment that matches `{}`, if the path has this form.
fn parameter<'p>(form: &str, path: &'p str) -> Option<&'p str> {
    let mut segments = path.split('/');
    let mut found = "";
    for expected in form.split('/') {
        let segment = segments.next()?;
        if expected == "{}" && !segment.is_empty() {
            found = segment;
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_method_and_a_path_identify_one_resource() {
        let find = |method: &str, path| Resource::find(&method.parse().unwrap(), path);
        assert_eq!(find("GET", "v1/metrics"), Found::Resource(Resource::Metrics, ""));
        assert_eq!(find("HEAD", "v1/metrics"), Found::Resource(Resource::Metrics, ""));
        assert_eq!(find("POST", "v1/keys"), Found::Resource(Resource::NewKey, ""));
        assert_eq!(find("GET", "v1/keys"), Found::Resource(Resource::ListKeys, ""));
        assert_eq!(find("POST", "v1/keys/key-1/rotate"), Found::Resource(Resource::RotateKey, "key-1"));
        assert_eq!(find("GET", "v1/keys/key-1"), Found::Resource(Resource::ShowKey, "key-1"));
        assert_eq!(find("POST", "v1/keys/key-1/revoke"), Found::Resource(Resource::RevokeKey, "key-1"));
        assert_eq!(find("DELETE", "v1/purges"), Found::OtherMethods(vec![Method::POST]));
        for path in
            ["", "v1", "v1/", "v2/metrics", "v1/metrics/", "v1/keys/", "v1/keys//revoke", "v1/keys/a/b", "V1/metrics"]
        {
            assert_eq!(find("GET", path), Found::Nothing, "{path}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_resource_is_found_by_its_own_path_and_named_once() {
        let mut actions = Vec::new();
        for resource in Resource::ALL {
            let path = resource.path().replace("{}", "x");
            assert!(
                matches!(Resource::find(&resource.method(), &path), Found::Resource(found, _) if found == resource)
            );
            assert!(!resource.changes() || resource.role() != Role::Read, "{resource:?}");
            assert!(!actions.contains(&resource.action()));
            actions.push(resource.action());
        }
    }
}
