//! The keys of signed requests, as far as they are prepared once.

use std::rc::Rc;

use tollgate_core::authn::SigningKeys;
use tollgate_core::jose::JwkSet;

use super::fetched::FetchPlan;
use super::tokens::keys_at;

/// What an isolate has prepared for policies; most often one or two.
#[derive(Debug, Default)]
pub(crate) struct Signers(Vec<Rc<Signer>>);

/// The keys of a policy.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: SigningKeys,
    /// Where they come from, or why they cannot be used.
    pub(crate) source: Result<Source, String>,
}

/// Where the keys of a policy come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Shared secrets.
    Secrets,
    /// The configuration.
    Fixed(Rc<JwkSet>),
    /// A set at a URL.
    Set(Rc<FetchPlan>),
}

impl Signers {
    /// What is prepared for these keys.
    pub(crate) fn of(&mut self, keys: &SigningKeys) -> Rc<Signer> {
        if let Some(known) = self.0.iter().find(|known| known.keys == *keys) {
            return Rc::clone(known);
        }
        if self.0.len() >= SIGNERS_MAX {
            // Most of them are those of earlier configurations.
            self.0.clear();
        }
        let signer = Rc::new(Signer { keys: keys.clone(), source: Source::of(keys) });
        self.0.push(Rc::clone(&signer));
        signer
    }
}

impl Source {
    fn of(keys: &SigningKeys) -> Result<Self, String> {
        match keys {
            SigningKeys::Secrets(..) => Ok(Self::Secrets),
            SigningKeys::Static(text) => {
                let set = JwkSet::parse(text.as_bytes()).map_err(|error| error.to_string())?;
                Ok(Self::Fixed(Rc::new(set)))
            }
            SigningKeys::Set(url, is_private) => keys_at(url, *is_private).map(Self::Set),
        }
    }
}

/// Policies in memory; a gateway has some.
const SIGNERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_prepared_once_and_their_number_is_bounded() {
        let mut signers = Signers::default();
        let fixed = |at: usize| SigningKeys::Static(format!("{{\"keys\":[],\"at\":{at}}}"));
        let first = signers.of(&fixed(0));
        assert!(matches!(first.source, Ok(Source::Fixed(_))));
        assert!(Rc::ptr_eq(&first, &signers.of(&fixed(0))) && !Rc::ptr_eq(&first, &signers.of(&fixed(1))));
        for at in 0..=SIGNERS_MAX {
            signers.of(&fixed(at));
        }
        assert!(signers.0.len() <= SIGNERS_MAX);
        assert!(signers.of(&SigningKeys::Static("{".into())).source.is_err());
        assert!(signers.of(&SigningKeys::Set("http://keys.example.com/".into(), false)).source.is_err());
        assert!(matches!(signers.of(&SigningKeys::Set("http://keys/".into(), true)).source, Ok(Source::Set(_))));
    }
}
