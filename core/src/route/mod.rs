//! Which route a request matches: host, path, method and predicates, parsed once and strictly; the most specific route
//! wins.

mod host;
mod methods;
mod pages;
mod parameter;
mod path;
mod predicate;
mod router;
mod template;

pub use host::{HostError, HostName, HostPattern, host_and_port};
pub use methods::Methods;
pub use pages::PageIndex;
pub use parameter::ParameterType;
pub use path::{CanonicalPath, PathError, PathSegments};
pub use predicate::{Predicate, PredicatePrecedence, Subject, Test};
pub use router::{Entry, Matched, RequestHead, RouteIndex, Router};
pub use template::{PathTemplate, Precedence, Segment, TemplateError};
