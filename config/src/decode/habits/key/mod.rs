//! Keys of other gateways and formats, with the place where the same is written here.

mod definitions;
mod project;
mod routes;

/// What to write instead of an unknown key of an object, which is named as in the tables.
pub(crate) fn fix(object: &str, key: &str) -> Option<&'static str> {
    let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
    let is_of = |habit: &&Habit| habit.objects.contains(&object) && habit.keys.contains(&key.as_str());
    HABITS.iter().copied().flatten().find(is_of).map(|habit| habit.fix)
}

/// Keys that are written elsewhere or otherwise here.
struct Habit {
    /// The names of the tables in which they are unknown.
    objects: &'static [&'static str],
    /// The keys in lowercase letters, without hyphens and underscores.
    keys: &'static [&'static str],
    fix: &'static str,
}

const fn habit(objects: &'static [&'static str], keys: &'static [&'static str], fix: &'static str) -> Habit {
    Habit { objects, keys, fix }
}

/// The order has a meaning: the first that fits is shown.
const HABITS: &[&[Habit]] = &[project::PROJECT_HABITS, routes::ROUTE_HABITS, definitions::DEFINITION_HABITS];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_of_other_gateways_have_a_place() {
        for (object, key, meant) in [
            ("project", "plugins", "`policies`"),
            ("project", "_format_version", "`format: 1`"),
            ("gateway", "server_name", "`hosts:"),
            ("api", "strip_path", "`strip-base:"),
            ("api", "stripPath", "`strip-base:"),
            ("api", "rate_limiting", "`limit: NAME`"),
            ("route", "paths", "one route for each path"),
            ("route", "proxy_pass", "the upstream is set for a whole API"),
            ("route", "method", "`methods: [GET]`"),
            ("upstream", "read_timeout", "`timeout: 10s`"),
            ("rate-limit", "requests_per_second", "`rate: 100/s`"),
            ("cache", "max-age", "`ttl: 10m`"),
            ("api-key", "hide_credentials", "removed from every request"),
            ("api-key", "anonymous", "`authn: {optional: [...]}`"),
            ("api-key", "realm", "the name of the gateway"),
        ] {
            assert!(fix(object, key).is_some_and(|fix| fix.contains(meant)), "{object} {key}");
        }
        assert_eq!(fix("route", "colour"), None);
    }

    #[test]
    fn every_habit_is_of_a_table_and_no_key_of_it() {
        // Objects of specifications are in no file of a project.
        let all = [crate::tests::objects(), vec![&crate::model::tables::EXTENSION]].concat();
        let mut seen = BTreeSet::new();
        for Habit { objects, keys, .. } in HABITS.iter().copied().flatten() {
            for name in *objects {
                let object =
                    all.iter().find(|object| object.name == *name).unwrap_or_else(|| panic!("no table {name}"));
                for key in *keys {
                    let is_known = object.all_keys().any(|known| known.name.replace('-', "") == *key);
                    assert!(!is_known, "{key} is a key of {name}");
                    seen.insert((*name, *key));
                }
            }
        }
        assert!(seen.len() > 200, "{}", seen.len());
    }
}
