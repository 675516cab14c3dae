//! The names of expressions: what is known of a request and its caller.

use std::ops::Range;

use tollgate_core::expression::Source;

use super::Fault;
use super::tree::{Part, Tree, Word};
use super::types::Type;
use crate::diagnostic::{closest, listed};

/// A chain of members below one of the names, such as `request.headers["x-a"]`.
pub(super) struct Chain<'t> {
    /// The name at its beginning.
    pub(super) root: &'t str,
    root_at: Range<usize>,
    /// The members, each with its place.
    pub(super) members: Vec<(&'t str, Range<usize>)>,
    pub(super) at: Range<usize>,
}

/// The names with which chains begin.
pub(super) const ROOTS: [&str; 5] = ["client", "now", "params", "principal", "request"];

impl<'t> Chain<'t> {
    /// The chain that a part of an expression is.
    pub(super) fn of(tree: &'t Tree) -> Option<Self> {
        match &tree.part {
            Part::Name(root) => Some(Self { root, root_at: tree.at.clone(), members: Vec::new(), at: tree.at.clone() }),
            Part::Select(on, Word { text, at }) => Self::of(on)?.then(text, at.clone(), tree),
            Part::Index(on, index) => match &index.part {
                Part::Text(text) => Self::of(on)?.then(text, index.at.clone(), tree),
                _ => None,
            },
            _ => None,
        }
    }

    fn then(mut self, member: &'t str, at: Range<usize>, tree: &Tree) -> Option<Self> {
        self.members.push((member, at));
        self.at = tree.at.clone();
        Some(self)
    }

    /// The source that it names, and the type of its values.
    pub(super) fn source(&self) -> Result<(Source, Type), Fault> {
        let names: Vec<&str> = self.members.iter().map(|(name, _)| *name).collect();
        Ok(match (self.root, names.as_slice()) {
            ("request", ["method"]) => (Source::Method, Type::Text),
            ("request", ["path"]) => (Source::Path, Type::Text),
            ("request", ["host"]) => (Source::Host, Type::Text),
            ("request", ["headers", name]) => (Source::Header(self.field(name)?), Type::Text),
            ("request", ["query", name]) => (Source::Query((*name).to_owned()), Type::Text),
            ("request", ["cookies", name]) => (Source::Cookie((*name).to_owned()), Type::Text),
            ("params", [name]) => (Source::Parameter((*name).to_owned()), Type::Text),
            ("client", ["address"]) => (Source::Address, Type::Address),
            ("client", ["country"]) => (Source::Country, Type::Text),
            ("client", ["asn"]) => (Source::Asn, Type::Integer),
            ("principal", ["consumer"]) => (Source::Consumer, Type::Text),
            ("principal", ["plan"]) => (Source::Plan, Type::Text),
            ("principal", ["scopes"]) => (Source::Scopes, Type::List(Type::Text.into())),
            ("principal", ["groups"]) => (Source::Groups, Type::List(Type::Text.into())),
            ("principal", ["claims", path @ ..]) if !path.is_empty() => {
                (Source::Claim(path.iter().map(|name| (*name).to_owned()).collect()), Type::Dyn)
            }
            ("now", []) => (Source::Now, Type::Timestamp),
            _ => return Err(self.unknown(&names)),
        })
    }

    /// The map that it names, which is not a value: what `"a" in request.headers` is about.
    pub(super) fn map(&self, key: &str, at: &Range<usize>) -> Option<Result<Source, Fault>> {
        let names: Vec<&str> = self.members.iter().map(|(name, _)| *name).collect();
        match (self.root, names.as_slice()) {
            ("request", ["headers" | "query" | "cookies"]) | ("params", []) | ("principal", ["claims"]) => {
                let own = self.members.iter().map(|(name, at)| (*name, at.clone()));
                let members = own.chain([(key, at.clone())]).collect();
                let member = Chain { root: self.root, root_at: self.root_at.clone(), members, at: self.at.clone() };
                Some(member.source().map(|(source, _)| source))
            }
            _ => None,
        }
    }

    /// The name of a field in lower case.
    fn field(&self, name: &str) -> Result<String, Fault> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+.^_`|~-".contains(c);
        let at = self.members.last().map_or_else(|| self.at.clone(), |(_, at)| at.clone());
        if name.is_empty() || !name.chars().all(is_token) {
            let what = format!("`{name}` is not the name of a header field");
            return Err(Fault::new(at, what, "no request can have it", "write a name such as `x-version`"));
        }
        Ok(name.to_ascii_lowercase())
    }

    fn unknown(&self, names: &[&str]) -> Fault {
        let (known, example): (&[&str], &str) = match (self.root, names) {
            ("request", ["headers"]) => return self.is_map("headers", "request.headers[\"x-version\"]"),
            ("request", ["query"]) => return self.is_map("query", "request.query[\"page\"]"),
            ("request", ["cookies"]) => return self.is_map("cookies", "request.cookies[\"session\"]"),
            ("params", []) => return self.is_map("params", "params.id"),
            ("principal", ["claims"]) => return self.is_map("claims", "principal.claims.department"),
            ("request", _) => (&["method", "path", "host", "headers", "cookies", "query"], "request.path"),
            ("client", _) => (&["address", "country", "asn"], "client.address"),
            ("principal", _) => (&["consumer", "plan", "scopes", "groups", "claims"], "principal.consumer"),
            ("now", _) => (&[], "now"),
            _ => (&ROOTS, "request.path"),
        };
        let is_root = !ROOTS.contains(&self.root);
        let (word, at) = match (is_root, self.members.first()) {
            (false, Some((word, at))) => (*word, at.clone()),
            _ => (self.root, self.root_at.clone()),
        };
        if !is_root && self.members.is_empty() {
            let what = format!("`{word}` is not a value");
            return Fault::new(
                at,
                what,
                "it has members, which are values",
                format!("write one of them, such as `{example}`"),
            );
        }
        let depth_is_wrong = !is_root && known.contains(&word);
        let what = match (is_root, depth_is_wrong) {
            (true, _) => format!("`{word}` is not defined"),
            (false, true) => format!("`{}.{word}` has no such member", self.root),
            (false, false) => format!("`{}` has no member `{word}`", self.root),
        };
        let fix = match (habit(word), closest(word, known.iter().copied())) {
            _ if depth_is_wrong => format!("write `{}.{word}` alone", self.root),
            (Some(habit), _) => format!("write `{habit}`"),
            (None, Some(meant)) => format!("did you mean `{meant}`?"),
            (None, None) if known.is_empty() => format!("write `{example}` alone"),
            (None, None) => format!("write one of {}", listed(known.iter().copied())),
        };
        Fault::new(at, what, "every name of an expression must be known when it is compiled", fix)
    }

    fn is_map(&self, name: &str, example: &str) -> Fault {
        let what = format!("`{name}` is not a value");
        let fix = format!("write one of its members, such as `{example}`, or test `\"name\" in ...`");
        Fault::new(self.at.clone(), what, "it has members, which are values", fix)
    }
}

/// Names of other gateways and of Envoy's attributes.
fn habit(word: &str) -> Option<&'static str> {
    Some(match word {
        "jwt" | "token" | "auth" | "claims" | "identity" | "user" | "subject" | "session" => "principal.claims.NAME",
        "header" | "headers" | "http" => "request.headers[\"name\"]",
        "args" | "arg" | "query_string" | "queryParams" | "query" => "request.query[\"name\"]",
        "url_path" | "uri" | "url" | "path" => "request.path",
        "method" | "verb" => "request.method",
        "host" | "authority" => "request.host",
        "time" | "timestamp" => "now",
        "ip" | "source" | "remote_ip" | "remote_addr" | "addr" | "remote_address" => "client.address",
        "geo" | "geoip" | "country_code" | "geoip2_country_code" | "country" => "client.country",
        "as" | "asnum" | "autonomous_system" | "asn" => "client.asn",
        "consumer" | "username" | "sub" => "principal.consumer",
        "roles" | "role" | "group" | "groups" => "principal.groups",
        "scope" | "scopes" => "principal.scopes",
        "param" | "path_params" | "params" => "params.NAME",
        _ => return None,
    })
}
