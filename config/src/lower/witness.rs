//! Witnesses: example requests that demonstrate a finding and can be sent.

use std::fmt;

use tollgate_core::route::{HostPattern, Predicate, Subject, Test};

/// An example request that demonstrates a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witness {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path, in canonical form.
    pub path: String,
    /// The query, without the question mark.
    pub query: Option<String>,
    /// The header fields, except `Host`.
    pub fields: Vec<(String, String)>,
}

impl Witness {
    /// A request with this method, host and path that meets the predicates.
    #[must_use]
    pub fn new(method: &str, host: &HostPattern, path: impl Into<String>, when: &[Predicate]) -> Self {
        let method = if method.is_empty() { "GET" } else { method }.to_owned();
        let mut witness = Self { method, host: host_of(host), path: path.into(), query: None, fields: Vec::new() };
        for predicate in when {
            witness.meet(predicate);
        }
        witness
    }

    /// The URL of the request. The scheme is always HTTPS; it does not affect routing.
    #[must_use]
    pub fn url(&self) -> String {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        format!("https://{}{}{query}", self.host, self.path)
    }

    /// A `curl` command line that sends the request.
    #[must_use]
    pub fn curl(&self) -> String {
        let method = match self.method.as_str() {
            "GET" => String::new(),
            "HEAD" => " --head".to_owned(),
            method => format!(" -X {method}"),
        };
        let fields: String = self.fields.iter().map(|(n, v)| format!(" -H {}", quoted(&field(n, v)))).collect();
        format!("curl{method}{fields} {}", quoted(&self.url()))
    }

    fn meet(&mut self, predicate: &Predicate) {
        let value = match &predicate.test {
            Test::OneOf(values) => values.first().cloned().unwrap_or_default(),
            Test::Present => "any".to_owned(),
            Test::Absent => return,
        };
        match &predicate.of {
            Subject::Header(name) => self.fields.push((name.clone(), value)),
            Subject::Query(name) => {
                let pair = format!("{name}={value}");
                self.query = Some(self.query.take().map_or_else(|| pair.clone(), |query| format!("{query}&{pair}")));
            }
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url())?;
        for (place, (name, value)) in self.fields.iter().enumerate() {
            write!(f, "{}{name}: {value}", if place == 0 { " with " } else { ", " })?;
        }
        Ok(())
    }
}

/// A host that the pattern matches.
pub(crate) fn host_of(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Wildcard(suffix) => format!("any.{suffix}"),
        HostPattern::Any => "any.example".to_owned(),
    }
}

fn field(name: &str, value: &str) -> String {
    // With a semicolon, curl sends a field without a value.
    if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") }
}

/// The text quoted as one word for a shell.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:%@+,=".contains(&b);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(of: Subject, value: &str) -> Predicate {
        Predicate { of, test: Test::OneOf(vec![value.to_owned()]) }
    }

    #[test]
    fn a_witness_can_be_sent_as_it_is_printed() {
        let plain = Witness::new("", &"api.example.com".parse().unwrap(), "/a", &[]);
        assert_eq!(plain.curl(), "curl https://api.example.com/a");
        let when = [
            one_of(Subject::Header("x-v".into()), "it's"),
            Predicate { of: Subject::Header("x-w".into()), test: Test::Absent },
            one_of(Subject::Query("a".into()), "1"),
            Predicate { of: Subject::Query("b".into()), test: Test::Present },
        ];
        let full = Witness::new("PUT", &"*.example.com".parse().unwrap(), "/a", &when);
        assert_eq!(full.curl(), r"curl -X PUT -H 'x-v: it'\''s' 'https://any.example.com/a?a=1&b=any'");
        assert_eq!(full.to_string(), "PUT https://any.example.com/a?a=1&b=any with x-v: it's");
    }
}
