//! The server that an imported project calls, and what its document says that the project does not keep.

use tollgate_config::openapi::Spec;
use tollgate_core::forward::UpstreamUrl;

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

/// What a server of a document can be used for.
enum Usable {
    Url(String),
    /// A URL relative to that of the document.
    Path(String),
    Not(String),
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
        let mut notes = Vec::new();
        let read: Vec<(&String, Usable)> = servers.iter().map(|text| (text, read(text, &mut notes))).collect();
        let urls: Vec<&str> = read.iter().filter_map(|(_, usable)| usable.url()).collect();
        let path = read.iter().find_map(|(_, usable)| usable.path());
        if let Some(given) = given {
            let of_document = urls.first().map(|url| path_of(url)).or(path);
            let lost = of_document.filter(|path| !path.is_empty() && path_of(given) != *path);
            notes = lost.map(|path| lost_path(path, given)).into_iter().collect();
            return Self { url: given.to_owned(), placeholder: None, notes };
        }
        for (text, why) in read.iter().filter_map(|(text, usable)| Some((text, usable.refusal()?))) {
            notes.push(format!("the server {} cannot be called: {why}", shown(text)));
        }
        if let Some((url, others)) = urls.split_first() {
            let others = others.len() + usize::from(path.is_some());
            if others > 0 {
                notes.push(format!("the document names {} servers: the first is called, {url}", others + 1));
            }
            return Self { url: (*url).to_owned(), placeholder: None, notes };
        }
        let placeholder = match path {
            Some(path) => format!("the document names only the path of its server, {path}, and no host"),
            None => "the document names no server that can be called".to_owned(),
        };
        Self { url: format!("{ECHO}{}", path.unwrap_or_default()), placeholder: Some(placeholder), notes }
    }
}

impl Usable {
    fn url(&self) -> Option<&str> {
        match self {
            Self::Url(url) => Some(url),
            Self::Path(_) | Self::Not(_) => None,
        }
    }

    fn path(&self) -> Option<&str> {
        match self {
            Self::Path(path) => Some(path),
            Self::Url(_) | Self::Not(_) => None,
        }
    }

    fn refusal(&self) -> Option<&str> {
        match self {
            Self::Not(why) => Some(why),
            Self::Url(_) | Self::Path(_) => None,
        }
    }
}

/// Reads the URL of a server; what of it is not kept is added to the notes.
fn read(text: &str, notes: &mut Vec<String>) -> Usable {
    if text.contains('{') {
        return Usable::Not("it has a variable without a default".to_owned());
    }
    let text = text.trim();
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
    let path = kept.trim_start_matches("./").trim_matches('/');
    let path = if path.is_empty() || path == "." { String::new() } else { format!("/{path}") };
    match format!("{ECHO}{path}").parse::<UpstreamUrl>() {
        Ok(_) => Usable::Path(path),
        Err(error) => Usable::Not(error.to_string()),
    }
}

fn absolute(text: &str, notes: &mut Vec<String>) -> Usable {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => {
            notes.push(format!("the user name in the URL of {host} is not kept: use `headers` with a secret"));
            host
        }
        None => authority,
    };
    let url = format!("{scheme}://{host}{path}");
    match url.parse::<UpstreamUrl>() {
        Ok(parsed) if parsed.port() == Some(0) => Usable::Not("port 0 cannot be called".to_owned()),
        Ok(_) => Usable::Url(url),
        Err(error) => Usable::Not(error.to_string()),
    }
}

/// The path of a URL, without a slash at the end.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

fn lost_path(path: &str, given: &str) -> String {
    format!(
        "the document's server has the path {path}, which is not in --upstream {given}: add it if the server expects it"
    )
}

/// A text of the document on one line, without a user name.
fn shown(text: &str) -> String {
    let text = printable(text);
    let (before, rest) = text.split_once("://").unwrap_or(("", &text));
    let end = rest.find('/').unwrap_or(rest.len());
    let rest = rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    if before.is_empty() { rest.to_owned() } else { format!("{before}://{rest}") }
}

/// The echo server of `tollgate dev`.
const ECHO: &str = "http://127.0.0.1:8082";

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
        check(&["/"], "http://127.0.0.1:8082", true, &[]);
        check(&["/api/v3"], "http://127.0.0.1:8082/api/v3", true, &[]);
        check(&["./api/v3/"], "http://127.0.0.1:8082/api/v3", true, &[]);
        check(&["https://a.example/v1?tenant=x"], "https://a.example/v1", false, &["?tenant=x is not kept"]);
        check(&["//a.example/v1"], "https://a.example/v1", false, &["https is used"]);
        check(&["https://u:secret@a.example"], "https://a.example", false, &["use `headers` with a secret"]);
        check(&["ws://a.example", "/b"], "http://127.0.0.1:8082/b", true, &["neither http nor https"]);
        check(&["https://{region}.example"], "http://127.0.0.1:8082", true, &["without a default"]);
        check(&["http://a:0"], "http://127.0.0.1:8082", true, &["port 0"]);
        check(&["/a", "https://b/c", "https://d"], "https://b/c", false, &["names 3 servers"]);
    }

    #[test]
    fn a_user_name_is_not_shown() {
        let server = of(&["ws://u:pw123@a.example/?x"], None);
        assert!(!server.notes.join(" ").contains("pw123"), "{server:?}");
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
