//! Paths in the syntax of other routers: `/users/:id`, `/users/*`, `/users/[0-9]+`, `~ ^/users`.

use tollgate_core::route::PathTemplate;

use super::EXAMINED_BYTES_MAX;
use super::regex::matches;

/// A path in the syntax of another router.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The part that has another meaning there.
    pub(crate) part: String,
    /// What to write instead.
    pub(crate) fix: String,
}

/// Finds the syntax of another router in a path; `None` for a path without any.
pub(crate) fn foreign(text: &str) -> Option<Foreign> {
    if text.len() > EXAMINED_BYTES_MAX {
        return None;
    }
    if let Some(foreign) = whole(text) {
        return Some(foreign);
    }
    let is_anchored = text.len() > 1 && text.ends_with('$') && !text.ends_with("/$");
    let body = if is_anchored { &text[..text.len() - 1] } else { text };
    let mut part = is_anchored.then(|| "$".to_owned());
    let mut meant = Meant::default();
    let segments = segments(body.strip_prefix('/')?);
    for (place, segment) in segments.iter().enumerate() {
        let is_last = place + 1 == segments.len();
        if meant.take(segment, is_last) {
            part.get_or_insert_with(|| (*segment).to_owned());
        }
    }
    let part = part?;
    // Only a text that is a path here, too, can have been meant as it is written.
    let is_path = text.parse::<PathTemplate>().is_ok();
    let fix = match is_path {
        true => format!("{}; for these characters themselves, write `{}`", meant.fix(), escaped(&part)),
        false => meant.fix(),
    };
    Some(Foreign { part, fix })
}

/// Paths that are foreign as a whole, because of what is before them.
fn whole(text: &str) -> Option<Foreign> {
    let first = text.split([' ', '\t']).next().unwrap_or_default();
    let rest = text[first.len()..].trim_start();
    if METHODS.contains(&first) && rest.starts_with('/') {
        let fix = match first {
            "ANY" | "ALL" => format!("write `path: \"{}\"`, and no `methods`", ours(rest)),
            first => format!("write `path: \"{}\"` and `methods: [{first}]`", ours(rest)),
        };
        return Some(Foreign { part: first.to_owned(), fix });
    }
    if ["~", "~*", "=", "^~"].contains(&first) && !rest.is_empty() {
        return Some(Foreign { part: first.to_owned(), fix: instead(rest) });
    }
    if let Some(rest) = text.strip_prefix('~').or_else(|| text.strip_prefix('^')) {
        return Some(Foreign { part: text[..1].to_owned(), fix: instead(rest) });
    }
    if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '{'])) {
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        let fix = format!("write `{}`; hosts are listed in `hosts` of the API or the gateway", ours(path));
        return Some(Foreign { part: format!("{scheme}://{host}"), fix });
    }
    None
}

/// What to write instead of a regular expression for a whole path.
fn instead(regex: &str) -> String {
    let path = regex.trim_start_matches('^').replace("\\/", "/");
    let exact = ours(path.trim_end_matches('$'));
    if regex.ends_with('$') || exact.contains("{*") {
        return format!("write `{exact}`");
    }
    let below = format!("{}/{{*rest}}", exact.trim_end_matches('/'));
    format!("write `{exact}` for this path, and a second route with `{below}` for all paths below it")
}

/// The path as it is written here, if it has no other meaning than the parameters.
fn ours(path: &str) -> String {
    let mut meant = Meant::default();
    let Some(rest) = path.strip_prefix('/') else { return EXAMPLE.to_owned() };
    let all = segments(rest);
    for (place, segment) in all.iter().enumerate() {
        meant.take(segment, place + 1 == all.len());
    }
    let path = meant.path();
    if path.parse::<PathTemplate>().is_ok() { path } else { EXAMPLE.to_owned() }
}

/// The segments of a path; a slash in brackets is not the end of a segment.
fn segments(path: &str) -> Vec<&str> {
    let (mut all, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            b'/' if depth == 0 => {
                all.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(&path[start..]);
    all
}

/// The path that was probably meant, segment by segment.
#[derive(Default)]
struct Meant {
    segments: Vec<String>,
    names: Vec<String>,
    /// Whether the last segment may be absent.
    is_optional: bool,
    /// Whether paths below it are meant, too.
    is_prefix: bool,
    /// Whether it is not known what was meant.
    is_unclear: bool,
}

impl Meant {
    /// Adds a segment; returns whether it is written as in another router.
    fn take(&mut self, text: &str, is_last: bool) -> bool {
        match self.translated(text, is_last) {
            // `{$}`, the end of a path.
            Some(ours) if ours.is_empty() => true,
            Some(ours) => {
                self.segments.push(ours);
                true
            }
            None => {
                // Names of written parameters must not be used again.
                self.names
                    .extend(braced(text).map(|(_, name, _)| name.split(':').next().unwrap_or_default().to_owned()));
                self.segments.push(text.to_owned());
                false
            }
        }
    }

    /// The segment as it is written here; `None` if it is already.
    fn translated(&mut self, text: &str, is_last: bool) -> Option<String> {
        if let Some((before, inside, behind)) = braced(text) {
            return self.braces(before, inside, behind, is_last);
        }
        if let Some(rest) =
            text.strip_prefix(':').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        {
            return Some(self.colon(rest, is_last));
        }
        let delimited = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close);
        if let Some(inside) = delimited("<", ">") {
            return Some(self.angle(inside, is_last));
        }
        let inside = delimited("[[...", "]]").or_else(|| delimited("[...", "]"));
        if let Some(name) = inside.filter(|name| is_name(name)) {
            return Some(self.parameter(".*", name, is_last));
        }
        if let Some(name) = delimited("[", "]").filter(|name| is_name(name) && !name.contains('-')) {
            return Some(self.parameter("", name, is_last));
        }
        if let Some(name) = text.strip_prefix('*').map(|name| name.trim_start_matches('*')).filter(|name| is_name(name))
        {
            return Some(self.parameter(".*", name, is_last));
        }
        if let Some(rest) = text.strip_prefix("(?").filter(|rest| rest.starts_with(['<', 'P'])) {
            let (name, regex) = rest.trim_start_matches(['P', '<']).trim_end_matches(')').split_once('>')?;
            return Some(self.parameter(regex, name, is_last));
        }
        if ["*", "**", "***"].contains(&text) {
            return Some(self.unnamed(if is_last { ".*" } else { "[^/]+" }, is_last));
        }
        if is_regex(text) {
            self.is_unclear |= (text.contains('|') && !text.contains('(')) || has_fixed_text(text);
            return Some(self.unnamed(text, is_last));
        }
        if text.contains('*') {
            return Some(self.star(text, is_last));
        }
        None
    }

    /// A segment with `{...}`.
    fn braces(&mut self, before: &str, inside: &str, behind: &str, is_last: bool) -> Option<String> {
        if let Some(inside) = inside.strip_prefix('{') {
            return Some(self.parameter("", inside.trim_matches(['{', '}', ' ']), is_last) + behind);
        }
        if inside == "$" {
            return Some(String::new());
        }
        if behind.trim_end_matches('*').len() < behind.len() {
            self.is_prefix = is_last;
            return Some(format!("{before}{{{inside}}}{}", behind.trim_end_matches('*')));
        }
        if ["$", "#"].contains(&before) {
            return Some(self.parameter("", inside.trim(), is_last) + behind);
        }
        let (name, of) = inside.split_once([':', '=']).unwrap_or((inside, ""));
        let bare = name.trim().trim_matches(['*', '+', '.', '?']);
        let is_ours = !bare.is_empty()
            && (name == bare || format!("*{bare}") == name)
            && !inside.contains('=')
            && is_our_type(of);
        if is_ours || (!is_name(bare) && !bare.is_empty()) {
            return None;
        }
        self.is_optional |= name.ends_with('?') && is_last;
        // `{name=*}` is one segment, `{name=**}` the rest.
        let of = if inside.contains('=') && of == "*" { "" } else { of };
        let is_rest = name != bare && !name.ends_with('?') && name.trim() != bare;
        let of = if is_rest { ".*" } else { of };
        if bare.is_empty() {
            return Some(format!("{before}{}{behind}", self.unnamed(of, is_last)));
        }
        Some(format!("{before}{}{behind}", self.parameter(of, bare, is_last)))
    }

    /// `:name`, `:name?`, `:name*`, `:name(regex)`, without the colon.
    fn colon(&mut self, rest: &str, is_last: bool) -> String {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        match tail {
            "" => self.parameter("", name, is_last),
            "*" | "+" => self.parameter(".*", name, is_last),
            "?" => {
                self.is_optional = is_last;
                self.parameter("", name, is_last)
            }
            tail if tail.starts_with('(') => {
                self.is_optional = is_last && tail.ends_with('?');
                self.parameter(tail.trim_end_matches(['?', '*', '+']), name, is_last)
            }
            tail if tail.starts_with('<') => self.parameter(tail.trim_matches(['<', '>']), name, is_last),
            tail => self.parameter("", name, is_last) + &tail.replace([':', '*'], ""),
        }
    }

    /// `name`, `int:name`, `name:int` or `name:regex`, as between `<` and `>`.
    fn angle(&mut self, inside: &str, is_last: bool) -> String {
        match inside.split_once(':') {
            Some((of, name)) if CONVERTERS.contains(&of) => self.parameter(of, name, is_last),
            Some((name, of)) => self.parameter(of.trim_start_matches("re:"), name, is_last),
            None => self.parameter("", inside, is_last),
        }
    }

    /// A fixed text with a `*`.
    fn star(&mut self, text: &str, is_last: bool) -> String {
        if let Some(fixed) =
            text.strip_suffix('*').map(|text| text.trim_end_matches(['*', '.'])).filter(|text| !text.contains('*'))
        {
            self.is_prefix = is_last;
            return fixed.to_owned();
        }
        match text.split_once('*') {
            Some((before, behind)) if !behind.contains('*') => {
                format!("{before}{}{behind}", self.parameter("", "name", is_last))
            }
            _ => self.parameter("", "name", is_last),
        }
    }

    /// A parameter with a name of ours.
    fn unnamed(&mut self, regex: &str, is_last: bool) -> String {
        self.parameter(regex, matches(regex).name(), is_last)
    }

    fn parameter(&mut self, regex: &str, name: &str, is_last: bool) -> String {
        use super::regex::Matches;
        let found = if regex.is_empty() { Matches::Any } else { matches(regex) };
        let found = if found == Matches::Rest && !is_last { Matches::Any } else { found };
        let name = if is_name(name) { name } else { found.name() };
        let numbered = (2..).map(|number| format!("{name}{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !self.names.contains(name));
        let name = free.unwrap_or_default();
        self.names.push(name.clone());
        found.parameter(&name)
    }

    fn path(&self) -> String {
        format!("/{}", self.segments.join("/"))
    }

    fn fix(&self) -> String {
        let path = self.path();
        if self.is_unclear || path.parse::<PathTemplate>().is_err() {
            return format!("write paths such as `{EXAMPLE}`, one route for each");
        }
        let shorter = &self.segments[..self.segments.len().saturating_sub(1)];
        if self.is_optional {
            return format!("write two routes, `/{}` and `{path}`", shorter.join("/"));
        }
        if self.is_prefix {
            let below = format!("{}/{{*rest}}", path.trim_end_matches('/'));
            return format!("write `{path}` for this path, and a second route with `{below}` for all paths below it");
        }
        match path.strip_suffix("/{*rest}") {
            Some(above) if !above.is_empty() => {
                format!("write `{path}`, which matches the paths below `{above}` and not `{above}` itself")
            }
            _ => format!("write `{path}`"),
        }
    }
}

/// The parts of a segment before, within and behind its first braces.
fn braced(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let end = if before.contains(['[', '(', '<', ']', ')', '\\']) { None } else { closing(rest) }?;
    Some((before, &rest[..end], &rest[end + 1..]))
}

/// The end of what the first brace opens: a regular expression in it may have braces, too.
fn closing(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    rest.bytes().enumerate().find_map(|(at, byte)| match byte {
        b'{' => {
            depth += 1;
            None
        }
        b'}' if depth == 0 => Some(at),
        b'}' => {
            depth -= 1;
            None
        }
        _ => None,
    })
}

fn is_our_type(of: &str) -> bool {
    let is_list = of.len() > 2
        && of.starts_with('(')
        && of.ends_with(')')
        && !of[1..of.len() - 1].contains(['(', ')', '\\', '[']);
    ["", "int", "uuid", "bool"].contains(&of) || (is_list && !of.contains(['*', '+']))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether a text has characters that no URL has without escapes, but regular expressions have.
fn is_regex(text: &str) -> bool {
    text.contains(['[', ']', '\\', '|', '^', '<', '>'])
        || text.contains(".*")
        || text.contains(".+")
        || text.contains("(?")
        || (text.contains('(') && (text.contains(")?") || text.contains('*') || text.contains(")+")))
}

/// Whether a regular expression begins or ends with text that stands for itself, which a parameter would not require.
fn has_fixed_text(regex: &str) -> bool {
    let is_text = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let text = regex.trim_start_matches('^').trim_end_matches('$');
    let mut from_end = text.chars().rev();
    let (last, before) = (from_end.next(), from_end.next());
    text.starts_with(is_text) || (last.is_some_and(is_text) && before != Some('\\'))
}

/// A text with percent-encoded characters, which stands for itself.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        ':' | '*' | '$' | '<' | '>' | '[' | ']' | '(' | ')' | '|' | '^' | '+' | '?' | '{' | '}' | '~' | '=' | ' ' => {
            format!("%{:02X}", u32::from(c))
        }
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The methods that some routers write before a path.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY", "ALL"];

/// The types that are written before the name of a parameter.
const CONVERTERS: &[&str] = &["int", "float", "string", "path", "uuid", "slug", "str", "any"];

const EXAMPLE: &str = "/users/{id}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_other_routers_are_found_with_what_was_meant() {
        for (path, meant) in [
            ("/users/*", "`/users/{*rest}`, which"),
            ("/users/**", "`/users/{*rest}`"),
            ("/**", "`/{*rest}`"),
            ("/*", "`/{*rest}`"),
            ("/users/*/posts", "`/users/{name}/posts`"),
            ("/users/*/posts/*", "`/users/{name}/posts/{*rest}`"),
            ("/users*", "`/users` for this path, and a second route with `/users/{*rest}`"),
            ("/users/{id}*", "`/users/{id}` for this path, and a second route with `/users/{id}/{*rest}`"),
            ("/users/{id}/**", "`/users/{id}/{*rest}`"),
            ("/files/*.json", "`/files/{name}.json`"),
            ("/users/:id", "`/users/{id}`"),
            ("/users/:id?", "two routes, `/users` and `/users/{id}`"),
            ("/users/:id/posts/:id", "`/users/{id}/posts/{id2}`"),
            ("/users/:id(\\d+)", "`/users/{id:int}`"),
            ("/files/:path*", "`/files/{*path}`"),
            ("/files/*path", "`/files/{*path}`"),
            ("/files/:name.json", "`/files/{name}.json`"),
            ("/users/[0-9]+", "`/users/{id:int}`"),
            ("/users/[^/]+/posts", "`/users/{name}/posts`"),
            ("/users/\\d+$", "`/users/{id:int}`"),
            ("/users/(.*)", "`/users/{*rest}`"),
            ("/users/.*", "`/users/{*rest}`"),
            ("/users/(open|closed)", "`/users/{name:(open|closed)}`"),
            // A parameter in place of the whole segment would match much more.
            ("/admin(/.*)?", "one route for each"),
            ("/user-[0-9]+", "one route for each"),
            ("/v[0-9]+/users", "one route for each"),
            ("/files/[a-z]+\\.txt", "one route for each"),
            ("/users/(?<id>\\d+)", "`/users/{id:int}`"),
            ("/users/(?P<id>[0-9]+)", "`/users/{id:int}`"),
            ("/users/<id>", "`/users/{id}`"),
            ("/users/<int:id>", "`/users/{id:int}`"),
            ("/files/<path:name>", "`/files/{*name}`"),
            ("/users/<id:int>", "`/users/{id:int}`"),
            ("/users/[id]", "`/users/{id}`"),
            ("/docs/[...slug]", "`/docs/{*slug}`"),
            ("/docs/[[...slug]]", "`/docs/{*slug}`"),
            ("/{proxy+}", "`/{*proxy}`"),
            ("/files/{path...}", "`/files/{*path}`"),
            ("/files/{**path}", "`/files/{*path}`"),
            ("/files/{path:path}", "`/files/{*path}`"),
            ("/files/{path:.*}", "`/files/{*path}`"),
            ("/users/{id:[0-9]+}", "`/users/{id:int}`"),
            ("/users/{id:\\d{1,9}}", "`/users/{id:int}`"),
            ("/users/{id:guid}", "`/users/{id:uuid}`"),
            ("/users/{id?}", "two routes, `/users` and `/users/{id}`"),
            ("/users/{{id}}", "`/users/{id}`"),
            ("/users/${id}", "`/users/{id}`"),
            ("/users/{ id }", "`/users/{id}`"),
            ("/users/{}", "`/users/{name}`"),
            ("/users/{$}", "`/users`"),
            ("/v1/{name=shelves/*}", "`/v1/{name}`"),
            ("/v1/{name=*}", "`/v1/{name}`"),
            ("/v1/{name=**}", "`/v1/{*name}`"),
            ("/users$", "`/users`"),
            ("^/users/[0-9]+$", "`/users/{id:int}`"),
            ("^/users", "`/users` for this path, and a second route with `/users/{*rest}`"),
            ("~ ^/users", "`/users` for this path"),
            ("~* \\.php$", "`/users/{id}`"),
            ("= /users", "`/users`"),
            ("^~ /users/", "second route with `/users/{*rest}`"),
            ("~/users/(?<id>\\d+)$", "`/users/{id:int}`"),
            ("GET /users/:id", "`path: \"/users/{id}\"` and `methods: [GET]`"),
            ("https://api.example.com/users", "`/users`; hosts are listed"),
            ("/a|/b", "one route for each"),
        ] {
            let found = foreign(path).unwrap_or_else(|| panic!("{path} is not found"));
            assert!(found.fix.contains(meant), "{path}: {}", found.fix);
        }
    }

    #[test]
    fn our_paths_and_plain_text_are_not_foreign() {
        for path in [
            "/",
            "/users/{id}",
            "/users/{id:int}.json",
            "/v1/{op}:cancel",
            "/users:batchGet",
            "/{*rest}",
            "/jobs/{s:(open|half%20open)}",
            "/~user",
            "/users/$count",
            "/$metadata",
            "/Products('x')",
            "/Products({id})",
            "/c++",
            "/a+b",
            "/a;b=c",
            "/a,b",
            "/@me",
            "/%2A",
            "/%3Aid",
            "/a b/",
            "/v{x}",
            "/{a}:z",
            "/a!/b",
            "/a=b",
            "/a.b",
            "/..",
            "//",
            "a",
            "",
            "/a?b",
            "/ü",
            "/{id",
            "/id}",
            "/:",
            "/:1",
        ] {
            assert_eq!(foreign(path), None, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_it_escapes_is_no_longer_foreign(text in "/?[a-z:*<>(){}|$.+?^~/ é\\[\\]\\\\]{0,24}") {
            if let Some(found) = foreign(&text).filter(|_| text.parse::<PathTemplate>().is_ok()) {
                let part = escaped(&found.part);
                proptest::prop_assert!(foreign(&format!("/{part}")).is_none(), "{text} {part}");
            }
        }
    }
}
