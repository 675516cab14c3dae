//! The methods that a route matches.

use std::fmt;
use std::ops::Deref;

use crate::codec::{Decode, Failed, Reader};
use crate::order;
use http::Method;
use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The methods that a route names, sorted; a route that names none matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods(Vec<Method>);

impl Methods {
    /// The methods that a route for all methods names: none.
    pub const ALL: Self = Self(Vec::new());

    /// Whether a request with this method matches: `HEAD` also where `GET` is named (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn takes(&self, method: &(impl AsRef<str> + ?Sized)) -> bool {
        self.0.is_empty() || self.names(method)
    }

    /// Whether the method is named; `HEAD` also by `GET`.
    #[must_use]
    pub fn names(&self, method: &(impl AsRef<str> + ?Sized)) -> bool {
        let method = method.as_ref();
        self.as_strs().any(|own| own == method || (method == "HEAD" && own == "GET"))
    }

    /// The names, in order.
    pub fn as_strs(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Method::as_str)
    }

    /// The names with a separator between them.
    #[must_use]
    pub fn join(&self, separator: &str) -> String {
        self.as_strs().collect::<Vec<_>>().join(separator)
    }
}

/// The names separated by commas, as in the name of a route; `*` for all methods.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "*" } else { "" })?;
        for (place, method) in self.0.iter().enumerate() {
            f.write_str(if place > 0 { "," } else { "" })?;
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}

impl Deref for Methods {
    type Target = [Method];

    fn deref(&self) -> &[Method] {
        &self.0
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        let mut methods: Vec<Method> = methods.into_iter().collect();
        order::sort_by(&mut methods, |one, other| one.as_str() < other.as_str());
        Self(methods)
    }
}

impl<const N: usize> From<[Method; N]> for Methods {
    fn from(methods: [Method; N]) -> Self {
        methods.into_iter().collect()
    }
}

impl<C> Encode<C> for Methods {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.array(self.0.len() as u64)?;
        self.as_strs().try_for_each(|method| encoder.str(method)?.ok())
    }
}

impl Decode for Methods {
    fn blank() -> Self {
        Self::ALL
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        for _ in 0..reader.list()? {
            match Method::from_bytes(reader.text()?.as_bytes()) {
                Ok(method) => self.0.push(method),
                Err(_) => return reader.fail("a method"),
            }
        }
        Ok(())
    }
}

impl Serialize for Methods {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_strs())
    }
}

impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let method = |name: String| Method::from_bytes(name.as_bytes()).map_err(D::Error::custom);
        names.into_iter().map(method).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn get_includes_head_and_none_are_all() {
        let read = Methods::from([Method::PUT, Method::GET]);
        assert_eq!((read.to_string().as_str(), read.join(", ").as_str()), ("GET,PUT", "GET, PUT"));
        assert!(read.takes(&Method::HEAD) && read.takes("HEAD") && !read.takes(&Method::POST));
        assert!(Methods::ALL.takes(&Method::POST) && !Methods::ALL.names(&Method::POST));
        assert_eq!(Methods::ALL.to_string(), "*");
        assert!(!Methods::from([Method::HEAD]).takes(&Method::GET));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_names_of_methods_are_read() {
        let read = |names: &[&str]| {
            let stored = minicbor::to_vec(names).unwrap();
            crate::codec::decode::<Methods>(&stored).map(|methods| methods.to_string()).ok()
        };
        assert_eq!(read(&["GET", "M-SEARCH"]).as_deref(), Some("GET,M-SEARCH"));
        assert_eq!([read(&["GE T"]), read(&[""]), read(&["GET", "É"])], [None, None, None]);
        let json = |text: &str| serde_json::from_str::<Methods>(text).map(|methods| methods.to_string()).ok();
        assert_eq!((json(r#"["POST","GET"]"#).as_deref(), json(r#"["GE T"]"#)), (Some("GET,POST"), None));
    }
}
