//! The interfaces of Spin that the component imports, answered from the shared stores and the manifest.

use wasmtime::Result;
use wasmtime::component::{Accessor, FutureReader, HasData, Linker, Resource, StreamReader};

use crate::guest::State;
use crate::stores::{Handle, Swap};

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

use spin::key_value::key_value;
use spin::variables::variables;
use wasi::keyvalue::{atomics, store};

/// Provides all interfaces of Spin that the component may import.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    key_value::add_to_linker::<_, Spin>(linker, |state| state)?;
    crate::redis::add_to_linker(linker)?;
    variables::add_to_linker::<_, Spin>(linker, |state| state)?;
    store::add_to_linker::<_, Spin>(linker, |state| state)?;
    atomics::add_to_linker::<_, Spin>(linker, |state| state)
}

/// Names the state the generated bindings work on.
pub(crate) struct Spin;

impl HasData for Spin {
    type Data<'a> = &'a mut State;
}

/// The error of a call that fails by an injected fault.
const FAULT: &str = "the store is unavailable (injected fault)";

impl State {
    /// The label of an opened store.
    fn label(&mut self, handle: &Resource<Handle>) -> Result<String> {
        Ok(self.table.get(handle)?.label.clone())
    }

    /// The label of an opened store, unless the stores fail for the key.
    fn label_for(&mut self, handle: &Resource<Handle>, key: &str) -> Result<Result<String, key_value::Error>> {
        if self.shared.faults.hit_key(key) {
            return Ok(Err(key_value::Error::Other(FAULT.into())));
        }
        self.label(handle).map(Ok)
    }
}

impl key_value::HostStoreWithStore<State> for Spin {
    async fn open(
        accessor: &Accessor<State, Self>,
        label: String,
    ) -> Result<Result<Resource<Handle>, key_value::Error>> {
        accessor.with(|mut access| {
            let state = access.get();
            if !state.shared.app.key_value_stores.contains(&label) {
                return Ok(Err(key_value::Error::AccessDenied));
            }
            Ok(Ok(state.table.push(Handle { label })?))
        })
    }

    async fn get(
        accessor: &Accessor<State, Self>,
        handle: Resource<Handle>,
        key: String,
    ) -> Result<Result<Option<Vec<u8>>, key_value::Error>> {
        accessor.with(|mut access| {
            let state = access.get();
            let label = state.label_for(&handle, &key)?;
            Ok(label.and_then(|label| state.shared.stores.get(&label, &key).map_err(key_value::Error::Other)))
        })
    }

    async fn set(
        accessor: &Accessor<State, Self>,
        handle: Resource<Handle>,
        key: String,
        value: Vec<u8>,
    ) -> Result<Result<(), key_value::Error>> {
        accessor.with(|mut access| {
            let state = access.get();
            let label = state.label_for(&handle, &key)?;
            Ok(label.and_then(|label| state.shared.stores.set(&label, &key, value).map_err(key_value::Error::Other)))
        })
    }

    async fn delete(
        accessor: &Accessor<State, Self>,
        handle: Resource<Handle>,
        key: String,
    ) -> Result<Result<(), key_value::Error>> {
        accessor.with(|mut access| {
            let state = access.get();
            let label = state.label_for(&handle, &key)?;
            Ok(label.and_then(|label| state.shared.stores.delete(&label, &key).map_err(key_value::Error::Other)))
        })
    }

    async fn exists(
        accessor: &Accessor<State, Self>,
        handle: Resource<Handle>,
        key: String,
    ) -> Result<Result<bool, key_value::Error>> {
        let value = Self::get(accessor, handle, key).await?;
        Ok(value.map(|value| value.is_some()))
    }

    async fn get_keys(
        accessor: &Accessor<State, Self>,
        handle: Resource<Handle>,
    ) -> Result<(StreamReader<String>, FutureReader<Result<(), key_value::Error>>)> {
        accessor.with(|mut access| {
            let state = access.get();
            let label = state.label_for(&handle, "")?;
            let keys = label.and_then(|label| state.shared.stores.keys(&label).map_err(key_value::Error::Other));
            let (keys, outcome) = match keys {
                Ok(keys) => (keys, Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            };
            let keys = StreamReader::new(&mut access, keys)?;
            let outcome = FutureReader::new(&mut access, async move { Result::<_>::Ok(outcome) })?;
            Ok((keys, outcome))
        })
    }
}

impl key_value::HostStore for State {
    fn drop(&mut self, handle: Resource<Handle>) -> Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl key_value::Host for State {}

impl variables::HostWithStore<State> for Spin {
    async fn get(accessor: &Accessor<State, Self>, name: String) -> Result<Result<String, variables::Error>> {
        accessor.with(|mut access| {
            let state = access.get();
            if !is_variable_name(&name) {
                return Ok(Err(variables::Error::InvalidName(name)));
            }
            let value = state.shared.app.variables.get(&name).cloned();
            Ok(value.ok_or(variables::Error::Undefined(name)))
        })
    }
}

impl variables::Host for State {}

/// Spin's rule: lower-case words of letters and digits joined by single underscores, a letter first.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .split('_')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

impl State {
    /// The label of an opened bucket, unless the counters fail.
    fn bucket(&mut self, bucket: &Resource<Handle>) -> Result<Result<String, store::Error>> {
        if self.shared.faults.hit_counters() {
            return Ok(Err(store::Error::Other(FAULT.into())));
        }
        self.label(bucket).map(Ok)
    }
}

impl store::Host for State {
    fn open(&mut self, label: String) -> Result<Result<Resource<Handle>, store::Error>> {
        if !self.shared.app.key_value_stores.contains(&label) {
            return Ok(Err(store::Error::AccessDenied));
        }
        Ok(Ok(self.table.push(Handle { label })?))
    }
}

impl store::HostBucket for State {
    fn get(&mut self, bucket: Resource<Handle>, key: String) -> Result<Result<Option<Vec<u8>>, store::Error>> {
        let label = self.bucket(&bucket)?;
        Ok(label.and_then(|label| self.shared.stores.get(&label, &key).map_err(store::Error::Other)))
    }

    fn set(&mut self, bucket: Resource<Handle>, key: String, value: Vec<u8>) -> Result<Result<(), store::Error>> {
        let label = self.bucket(&bucket)?;
        Ok(label.and_then(|label| self.shared.stores.set(&label, &key, value).map_err(store::Error::Other)))
    }

    fn delete(&mut self, bucket: Resource<Handle>, key: String) -> Result<Result<(), store::Error>> {
        let label = self.bucket(&bucket)?;
        Ok(label.and_then(|label| self.shared.stores.delete(&label, &key).map_err(store::Error::Other)))
    }

    fn exists(&mut self, bucket: Resource<Handle>, key: String) -> Result<Result<bool, store::Error>> {
        let value = store::HostBucket::get(self, bucket, key)?;
        Ok(value.map(|value| value.is_some()))
    }

    fn list_keys(
        &mut self,
        bucket: Resource<Handle>,
        _cursor: Option<String>,
    ) -> Result<Result<store::KeyResponse, store::Error>> {
        let label = self.bucket(&bucket)?;
        Ok(label.and_then(|label| {
            let keys = self.shared.stores.keys(&label).map_err(store::Error::Other)?;
            Ok(store::KeyResponse { keys, cursor: None })
        }))
    }

    fn drop(&mut self, bucket: Resource<Handle>) -> Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for State {
    fn increment(&mut self, bucket: Resource<Handle>, key: String, delta: i64) -> Result<Result<i64, store::Error>> {
        let label = self.bucket(&bucket)?;
        Ok(label.and_then(|label| {
            let sum = self.shared.stores.increment(&label, &key, delta);
            sum.map_err(store::Error::Other)
        }))
    }

    fn swap(&mut self, swap: Resource<Swap>, value: Vec<u8>) -> Result<Result<(), atomics::CasError>> {
        let mut swap = self.table.delete(swap)?;
        if self.shared.faults.hit_counters() {
            return Ok(Err(store_failed(FAULT.into())));
        }
        match self.shared.stores.swap(&swap, value) {
            Ok(true) => Ok(Ok(())),
            Ok(false) => {
                let again = self.open_swap().and_then(|()| self.shared.stores.get(&swap.label, &swap.key));
                match again {
                    Ok(seen) => swap.seen = seen,
                    Err(error) => return Ok(Err(store_failed(error))),
                }
                Ok(Err(atomics::CasError::CasFailed(self.table.push(swap)?)))
            }
            Err(error) => Ok(Err(store_failed(error))),
        }
    }
}

fn store_failed(error: String) -> atomics::CasError {
    atomics::CasError::StoreError(store::Error::Other(error))
}

/// The places for swaps in one instance.
const SWAPS_MAX: usize = 256;

impl State {
    /// Takes a place. As in Spin only a swap that is dropped gives it back, not one that was carried out.
    fn open_swap(&mut self) -> std::result::Result<(), String> {
        if self.swaps >= SWAPS_MAX {
            return Err("too many compare_and_swaps opened".to_owned());
        }
        self.swaps += 1;
        Ok(())
    }
}

impl atomics::HostCas for State {
    fn new(&mut self, bucket: Resource<Handle>, key: String) -> Result<Result<Resource<Swap>, store::Error>> {
        let label = match self.bucket(&bucket)? {
            Ok(label) => label,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.open_swap() {
            return Ok(Err(store::Error::Other(error)));
        }
        Ok(Ok(self.table.push(Swap { label, key, seen: None })?))
    }

    fn current(&mut self, swap: Resource<Swap>) -> Result<Result<Option<Vec<u8>>, store::Error>> {
        if self.shared.faults.hit_counters() {
            return Ok(Err(store::Error::Other(FAULT.into())));
        }
        let begun = self.table.get_mut(&swap)?;
        let seen = self.shared.stores.get(&begun.label, &begun.key);
        begun.seen = seen.clone().unwrap_or_default();
        Ok(seen.map_err(store::Error::Other))
    }

    fn drop(&mut self, swap: Resource<Swap>) -> Result<()> {
        self.table.delete(swap)?;
        self.swaps -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_variable_name;

    #[test]
    fn only_lower_case_words_are_variable_names() {
        for name in ["a", "tollgate_gateway", "a1_2"] {
            assert!(is_variable_name(name), "{name}");
        }
        for name in ["", "1a", "A", "a__b", "_a", "a_", "a-b"] {
            assert!(!is_variable_name(name), "{name}");
        }
    }
}
