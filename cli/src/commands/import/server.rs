//! The server that an imported project calls, and what its document says that the project does not keep.

use std::net::Ipv4Addr;

use tollgate_config::openapi::Spec;
use tollgate_config::usable_url;

use crate::terminal::printable;

/// The upstream of an imported project.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Its URL.
    pub(super) url: String,
    /// Why its host is only a placeholder.
    pub(super) placeholder: Option<String>,
    /// What the document says about servers and the project does not keep.
    pub(super) notes: Vec<String>,
}

/// A server of a document, and what it can be used for.
struct Read<'t> {
    text: &'t str,
    usable: Result<Usable, String>,
    /// What of its URL is not kept.
    notes: Vec<String>,
}

/// What a server of a document can be used for.
#[derive(Debug, PartialEq, Eq)]
enum Usable {
    Url(String),
    /// A path on the document's host; empty for its root.
    Path(String),
}

impl Server {
    /// The server that the person gives, or the first of the document that can be called.
    pub(super) fn choose(spec: &Spec, given: Option<&str>) -> Self {
        let mut server = Self::of(spec.servers(), given);
        match spec.with_own_servers() {
            0 => {}
            1 => server.notes.push("one operation has servers of its own, which are not called".to_owned()),
            more => server.notes.push(format!("{more} operations have servers of their own, which are not called")),
        }
        server
    }

    fn of(servers: &[String], given: Option<&str>) -> Self {
        let all: Vec<Read<'_>> = servers.iter().map(|text| Read::of(text)).collect();
        let is_url = |read: &Read<'_>| matches!(read.usable, Ok(Usable::Url(_)));
        let chosen = all.iter().position(is_url).or_else(|| all.iter().position(|read| read.usable.is_ok()));
        let first = chosen.and_then(|place| all.get(place));
        let usable = first.and_then(|read| read.usable.as_ref().ok());
        let mut notes: Vec<String> = first.map(|read| read.notes.clone()).unwrap_or_default();
        let (url, placeholder) = match (given, usable) {
            (Some(given), usable) => {
                notes.extend(usable.and_then(|usable| lost_path(usable.path(), given)));
                (given.to_owned(), None)
            }
            (None, Some(Usable::Url(url))) => (url.clone(), None),
            (None, Some(Usable::Path(path))) => {
                let why = match path.as_str() {
                    "" => "the document does not name the host of its server".to_owned(),
                    path => format!("the document names only the path of its server, {path}, and no host"),
                };
                (format!("{ECHO}{path}"), Some(why))
            }
            (None, None) => (ECHO.to_owned(), Some("the document names no server that can be called".to_owned())),
        };
        notes.extend(others(&all, chosen));
        Self { url, placeholder, notes }
    }
}

/// What is said about the servers that are not called.
fn others(all: &[Read<'_>], chosen: Option<usize>) -> Vec<String> {
    let others = || all.iter().enumerate().filter(|(place, _)| Some(*place) != chosen).map(|(_, read)| read);
    let usable: Vec<String> = others().filter(|read| read.usable.is_ok()).map(|read| shown(read.text)).collect();
    let mut notes = Vec::new();
    if let Some((last, before)) = usable[..usable.len().min(SHOWN_MAX)].split_last() {
        let more = usable.len().saturating_sub(SHOWN_MAX);
        let list = if before.is_empty() { last.clone() } else { format!("{} and {last}", before.join(", ")) };
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        notes.push(format!("other servers of the document are not called: {list}{rest}"));
    }
    let mut refused = others().filter_map(|read| Some((read.text, read.usable.as_ref().err()?)));
    let first = refused.by_ref().take(SHOWN_MAX);
    notes.extend(first.map(|(text, why)| format!("the server {} cannot be called: {why}", shown(text))));
    match refused.count() {
        0 => {}
        more => notes.push(format!("{more} more servers cannot be called")),
    }
    notes
}

impl Usable {
    /// Its path, without a slash at the end.
    fn path(&self) -> &str {
        match self {
            Self::Url(url) => path_of(url),
            Self::Path(path) => path,
        }
    }
}

impl<'t> Read<'t> {
    /// Reads the URL of a server.
    fn of(text: &'t str) -> Self {
        let mut notes = Vec::new();
        let usable = usable(text.trim(), &mut notes);
        Self { text, usable, notes }
    }
}

fn usable(text: &str, notes: &mut Vec<String>) -> Result<Usable, String> {
    if text.contains('{') {
        return Err("it has a variable without a default".to_owned());
    }
    let kept = text.split(['?', '#']).next().unwrap_or_default();
    if kept.len() < text.len() {
        notes.push(format!("the query of the server {} is not kept: an upstream has none", shown(text)));
    }
    if kept.contains("://") {
        return absolute(kept, notes);
    }
    if let Some(rest) = kept.strip_prefix("//") {
        notes.push(format!("the server {} names no scheme: https is used", shown(text)));
        return absolute(&format!("https://{rest}"), notes);
    }
    if looks_like_host(kept) {
        return Err("it names no scheme: give the whole URL with --upstream, such as https://HOST".to_owned());
    }
    relative(kept, text, notes)
}

/// Whether the text is a host without a scheme, rather than a path: `localhost:3000`, `api.example.com/v1`.
fn looks_like_host(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let is_label = |label: &str| label.len() > 1 && label.bytes().all(|b| b.is_ascii_alphabetic());
    let last = first.rsplit('.').next().unwrap_or_default();
    let is_name = !first.starts_with('.') && last != first && is_label(last);
    is_name || first == "localhost" || first.contains([':', '@']) || first.parse::<Ipv4Addr>().is_ok()
}

/// A path, relative to the document's URL.
fn relative(kept: &str, text: &str, notes: &mut Vec<String>) -> Result<Usable, String> {
    if kept.starts_with("..") {
        return Err("it is relative to the document's URL, which is not known".to_owned());
    }
    let below = kept.strip_prefix("./").unwrap_or(kept);
    if !kept.starts_with('/') && !matches!(below, "" | ".") {
        notes.push(format!("the server {} is relative to the document's URL, which is not known", shown(text)));
    }
    let path = match below.trim_matches('/') {
        "" | "." => String::new(),
        path => format!("/{path}"),
    };
    usable_url(&format!("{ECHO}{path}")).map(|_| Usable::Path(path))
}

fn absolute(text: &str, notes: &mut Vec<String>) -> Result<Usable, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => {
            notes.push(format!(
                "the user name in the URL of {} is not kept: use `headers` with a secret",
                printable(host)
            ));
            host
        }
        None => authority,
    };
    let url = format!("{scheme}://{host}{path}");
    usable_url(&url).map(|_| Usable::Url(url))
}

/// The path of a URL, without a slash at the end.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

/// Says that the URL that the person gives does not have the path of the document's server.
fn lost_path(path: &str, given: &str) -> Option<String> {
    (!path.is_empty() && path_of(given) != path).then(|| {
        format!(
            "the document's server has the path {path}, which is not in --upstream {given}: add it if the server expects it"
        )
    })
}

/// A text of the document on one line, without a user name.
fn shown(text: &str) -> String {
    let text = printable(text.trim());
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let (before, rest) = match text.find("//") {
        Some(at) => text.split_at(at + 2),
        None => ("", text.as_str()),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let rest = rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let mut shown = format!("{before}{rest}");
    if shown.len() > SHOWN_BYTES_MAX {
        shown.truncate(shown.floor_char_boundary(SHOWN_BYTES_MAX));
        shown.push_str("...");
    }
    shown
}

/// The echo server of `tollgate dev`.
const ECHO: &str = "http://127.0.0.1:8082";

/// The maximum number of servers that are named.
const SHOWN_MAX: usize = 8;

/// The maximum length of a server's text that is shown.
const SHOWN_BYTES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(servers: &[&str], given: Option<&str>) -> Server {
        Server::of(&servers.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), given)
    }

    #[track_caller]
    fn check(servers: &[&str], url: &str, is_placeholder: bool, notes: &[&str]) {
        let server = of(servers, None);
        assert_eq!((server.url.as_str(), server.placeholder.is_some()), (url, is_placeholder), "{server:?}");
        assert_eq!(server.notes.len(), notes.len(), "{server:?}");
        assert!(notes.iter().zip(&server.notes).all(|(part, note)| note.contains(part)), "{server:?}");
    }

    #[test]
    fn a_server_is_kept_as_far_as_an_upstream_can_be_like_it() {
        check(&["https://a.example/v1"], "https://a.example/v1", false, &[]);
        check(&[], "http://127.0.0.1:8082", true, &[]);
        for root in ["", "/", "./", ".", " / "] {
            check(&[root], "http://127.0.0.1:8082", true, &[]);
        }
        check(&["?q"], "http://127.0.0.1:8082", true, &["?q is not kept"]);
        check(&["/api/v3"], "http://127.0.0.1:8082/api/v3", true, &[]);
        check(&["./api/v3/"], "http://127.0.0.1:8082/api/v3", true, &["relative to the document's URL"]);
        check(&["../api"], "http://127.0.0.1:8082", true, &["../api cannot be called"]);
        check(&["v1.0"], "http://127.0.0.1:8082/v1.0", true, &["relative to the document's URL"]);
        check(&["https://a.example/v1?tenant=x"], "https://a.example/v1", false, &["?tenant=x is not kept"]);
        check(&["//a.example/v1"], "https://a.example/v1", false, &["https is used"]);
        check(&["https://u:secret@a.example"], "https://a.example", false, &["use `headers` with a secret"]);
        check(&["ws://a.example", "/b"], "http://127.0.0.1:8082/b", true, &["neither http nor https"]);
        check(&["https://1.2.3.400"], "http://127.0.0.1:8082", true, &["is not an IPv4 address"]);
        check(&["https://{region}.example"], "http://127.0.0.1:8082", true, &["without a default"]);
        check(&["http://a:0"], "http://127.0.0.1:8082", true, &["port 0"]);
        check(
            &["/a", "https://b/c", "https://d"],
            "https://b/c",
            false,
            &["servers of the document are not called: /a and https://d"],
        );
        check(
            &["/a", "/b", "/c?x"],
            "http://127.0.0.1:8082/a",
            true,
            &["servers of the document are not called: /b and /c?x"],
        );
        let many = ["/a"; 20];
        check(&many, "http://127.0.0.1:8082/a", true, &["not called: /a, /a,"]);
        check(
            &["ws://a"; 20],
            "http://127.0.0.1:8082",
            true,
            &[["cannot be called"; 8].as_slice(), &["12 more"]].concat(),
        );
    }

    #[test]
    fn a_host_without_a_scheme_is_no_path() {
        for host in [
            "localhost:3000",
            "localhost",
            "localhost/v1",
            "api.example.com/v1",
            "10.0.0.1",
            "10.0.0.1:80",
            "user@host",
        ] {
            check(&[host], "http://127.0.0.1:8082", true, &["names no scheme: give the whole URL"]);
        }
    }

    #[test]
    fn a_placeholder_is_explained_in_words() {
        let why = |servers: &[&str]| of(servers, None).placeholder.unwrap();
        assert_eq!(why(&["/"]), "the document does not name the host of its server");
        assert_eq!(why(&["?q"]), "the document does not name the host of its server");
        assert_eq!(why(&["/api"]), "the document names only the path of its server, /api, and no host");
        assert_eq!(why(&[]), "the document names no server that can be called");
        assert_eq!(why(&["localhost:3000"]), "the document names no server that can be called");
    }

    #[test]
    fn what_is_not_kept_is_said_beside_a_given_url_too() {
        let notes = |servers: &[&str]| of(servers, Some("http://b/v1")).notes;
        assert_eq!(notes(&["https://a/v1?tenant=x"]).len(), 1, "{:?}", notes(&["https://a/v1?tenant=x"]));
        assert!(notes(&["https://a/v1", "https://c"]).join(" ").contains("not called: https://c"));
        assert!(notes(&["ws://a"]).join(" ").contains("ws://a cannot be called"));
    }

    #[test]
    fn a_user_name_is_not_shown() {
        for text in ["ws://u:pw123@a.example/?x", "//u:pw123@a.example", "u:pw123@a.example", "https://u:pw123@a"] {
            let server = of(&[text, text], None);
            assert!(!server.notes.join(" ").contains("pw123"), "{server:?}");
        }
    }

    #[test]
    fn a_path_that_the_given_url_does_not_have_is_said() {
        let notes = |servers: &[&str], given| of(servers, Some(given)).notes;
        assert!(notes(&["/api/v3"], "http://b").join(" ").contains("/api/v3"));
        assert!(notes(&["https://a/v1/"], "http://b:1").join(" ").contains("path /v1"));
        assert!(notes(&["https://a/v1"], "http://b/v1/").is_empty());
        assert!(notes(&["https://a"], "http://b/x").is_empty());
    }
}
