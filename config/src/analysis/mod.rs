//! What is proved of a gateway's routes: over hosts, paths, methods and predicates, with requests to show for it.

pub(crate) mod conflicts;
mod segment;
mod witness;

pub use witness::Witness;
