//! Which route a request takes: host, path and method, taken apart once and strictly; the most specific route wins.

mod host;
mod path;
mod router;
mod template;

pub use host::{HostError, HostName, HostPattern};
pub use path::{CanonicalPath, PathError};
pub use router::{Captures, Matched, RouteIndex, Router};
pub use template::{PathTemplate, Segment, TemplateError};
