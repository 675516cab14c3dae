//! Decodes single values with core's parsers, and reports values that core refuses.

mod address;
mod field;
mod link;
mod path;
mod time;

pub(in crate::decode) use address::is_broken_address;
pub use address::usable_url;
pub(crate) use address::{hosts, network, otlp_endpoint, url};
pub use field::{can_be_field, can_be_parameter, can_be_scope, is_scope_pattern};
pub(crate) use field::{
    compared_field, cookie_name, export_fields, field_name, fields, group, identity, key_environment, key_parameter,
    key_place, key_scheme, parameter_name, scope, secret_reference, secret_text,
};
pub(crate) use link::links;
pub(crate) use path::{
    bad_path, base, methods, not_routed, report_blank, report_foreign, report_foreign_in_document, template,
    template_unreported,
};
pub(crate) use time::timestamp;
