//! The project file, `tollgate.yaml`.

use std::collections::BTreeSet;
use std::num::NonZeroU8;

use tollgate_core::bounds::{PROXIES_MAX, PROXY_NETWORKS_MAX};
use tollgate_core::client::ProxyField;
use tollgate_core::forward::ClientFields;
use tollgate_core::limit::NOTICE_RECEIVERS_MAX;

use super::api::{Api, HOSTS_MAX};
use super::level::Level;
use super::plan::Plan;
use super::upstream::{self, Upstream};
use crate::decode::{self, Fields, Named, habits};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::model::target::Target;
use crate::place::Spanned;
use crate::policies::WrittenPolicy;
use crate::source::{Node, Value};

/// A project as written; parts that could not be decoded are missing, which was reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Project {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) telemetry: Telemetry,
    pub(crate) upstreams: Named<Upstream>,
    pub(crate) policies: Named<WrittenPolicy>,
    pub(crate) plans: Named<Plan>,
    pub(crate) apis: Named<Api>,
    /// Whether every file could be read; otherwise an unknown name may be defined in an unreadable file.
    pub(crate) is_complete: bool,
}

/// `gateway:`.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) name: Spanned<String>,
    pub(crate) hosts: Option<Vec<Spanned<String>>>,
    pub(crate) internal_hosts: Option<Vec<Spanned<String>>>,
    pub(crate) connect_timeout_ms: Option<Spanned<u64>>,
    pub(crate) trusted_proxies: Option<Spanned<Proxies>>,
    pub(crate) proxy_field: Option<ProxyField>,
    pub(crate) proxy_country_field: Option<Spanned<String>>,
    pub(crate) proxy_asn_field: Option<Spanned<String>>,
    pub(crate) client_fields: ClientFields,
    pub(crate) identity_tokens: Option<IdentityTokens>,
    pub(crate) notify: Vec<Receiver>,
    pub(crate) targets: Spanned<BTreeSet<Target>>,
    pub(crate) level: Level,
}

/// `gateway.identity-tokens:`.
#[derive(Clone, Debug)]
pub(crate) struct IdentityTokens {
    pub(crate) issuer: Spanned<String>,
    pub(crate) key: Spanned<String>,
    pub(crate) keys_path: Option<Spanned<String>>,
    pub(crate) lifetime_ms: Option<Spanned<u64>>,
}

/// An item of `gateway.notify:`.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) url: Spanned<String>,
    pub(crate) secret: Spanned<String>,
    pub(crate) timeout_ms: Option<Spanned<u64>>,
    pub(crate) is_private: bool,
}

/// `gateway.trusted-proxies:`.
#[derive(Clone, Debug)]
pub(crate) enum Proxies {
    Count(NonZeroU8),
    Networks(Vec<Spanned<String>>),
}

/// `telemetry:`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    pub(crate) log: Option<bool>,
    pub(crate) otlp: Option<Otlp>,
    pub(crate) usage: Option<Usage>,
}

/// `telemetry.usage:`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) every_ms: Option<Spanned<u64>>,
    pub(crate) keep_ms: Option<Spanned<u64>>,
}

/// `telemetry.otlp:`.
#[derive(Clone, Debug)]
pub(crate) struct Otlp {
    pub(crate) endpoint: Spanned<String>,
    pub(crate) headers: Vec<(Spanned<String>, Spanned<String>)>,
    pub(crate) interval_ms: Option<Spanned<u64>>,
}

impl Project {
    /// Decodes the root of `tollgate.yaml`.
    pub(crate) fn decode(root: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(root, &tables::PROJECT, "the project", root.span, report)?;
        format_version(&mut fields, report);
        let project = Self {
            gateway: fields.required("gateway", report, Gateway::decode),
            telemetry: fields.optional("telemetry", report, Telemetry::decode).unwrap_or_default(),
            upstreams: fields
                .optional("upstreams", report, |node, report| decode::named(node, report, Upstream::decode))
                .unwrap_or_default(),
            policies: fields
                .optional("policies", report, |node, report| decode::named(node, report, WrittenPolicy::decode))
                .unwrap_or_default(),
            plans: fields
                .optional("plans", report, |node, report| decode::named(node, report, Plan::decode))
                .unwrap_or_default(),
            apis: fields
                .optional("apis", report, |node, report| decode::named(node, report, Api::decode))
                .unwrap_or_default(),
            is_complete: true,
        };
        // Values are read before everything else, and already replaced at the references to them.
        fields.optional("values", report, |_, _| Some(()));
        fields.finish(report);
        Some(project)
    }
}

/// Decodes the root of a file in `policies/`.
pub(crate) fn decode_policies(root: &Node, report: &mut Report) -> Named<WrittenPolicy> {
    let Some(mut fields) = Fields::open(root, &tables::POLICIES_FILE, "the file", root.span, report) else {
        return Named::new();
    };
    format_version(&mut fields, report);
    let policies =
        fields.required("policies", report, |node, report| decode::named(node, report, WrittenPolicy::decode));
    fields.finish(report);
    policies.unwrap_or_default()
}

impl Gateway {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::GATEWAY, "the gateway", node.span, report)?;
        let name =
            fields.required("name", report, decode::text).filter(|name| decode::check_gateway_name(name, report));
        let hosts = fields.optional("hosts", report, |node, report| decode::some_texts(node, HOSTS_MAX, report));
        let internal_hosts =
            fields.optional("internal-hosts", report, |node, report| decode::some_texts(node, HOSTS_MAX, report));
        let connect_timeout_ms = fields.optional("connect-timeout", report, decode::placed_time_limit);
        let trusted_proxies = fields.optional("trusted-proxies", report, proxies);
        let proxy_field = fields.optional("proxy-field", report, proxy_field);
        let proxy_country_field = fields.optional("proxy-country-field", report, decode::text);
        let proxy_asn_field = fields.optional("proxy-asn-field", report, decode::text);
        let client_fields = fields.optional("client-fields", report, client_fields).unwrap_or_default();
        let identity_tokens = fields.optional("identity-tokens", report, IdentityTokens::decode);
        let notify = fields.optional("notify", report, Receiver::decode_all).unwrap_or_default();
        fields.check_rules(report);
        let targets = fields.optional("target", report, targets);
        let targets = targets.unwrap_or_else(|| Spanned::new(BTreeSet::new(), node.span));
        let level = Level::decode(&mut fields, report);
        fields.finish(report);
        Some(Self {
            name: name?,
            hosts,
            internal_hosts,
            connect_timeout_ms,
            trusted_proxies,
            proxy_field,
            proxy_country_field,
            proxy_asn_field,
            client_fields,
            identity_tokens,
            notify,
            targets,
            level,
        })
    }
}

impl IdentityTokens {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::IDENTITY_TOKENS, "`identity-tokens`", node.span, report)?;
        let issuer = fields.required("issuer", report, decode::text);
        let key = fields.required("key", report, decode::text);
        let keys_path = fields.optional("keys-path", report, decode::text);
        let lifetime_ms = fields.optional("lifetime", report, decode::placed_time_limit);
        fields.finish(report);
        Some(Self { issuer: issuer?, key: key?, keys_path, lifetime_ms })
    }
}

impl Receiver {
    fn decode_all(node: &Node, report: &mut Report) -> Option<Vec<Self>> {
        if let Value::List(items) = &node.value {
            if items.is_empty() {
                return decode::mistyped(
                    node,
                    "a list with a receiver",
                    "remove `notify`, or write `[{url: ..., secret: ...}]`",
                    report,
                );
            }
            decode::check_length(node, items.len(), NOTICE_RECEIVERS_MAX, report).then_some(())?;
        }
        decode::list(node, report, Self::decode)
    }

    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::RECEIVER, "this receiver", node.span, report)?;
        let url = fields.required("url", report, upstream::url);
        let secret = fields.required("secret", report, decode::text);
        let timeout_ms = fields.optional("timeout", report, decode::placed_time_limit);
        let is_private = fields.optional("private-network", report, decode::boolean).unwrap_or(false);
        fields.finish(report);
        Some(Self { url: url?, secret: secret?, timeout_ms, is_private })
    }
}

/// A number of proxies, or their networks.
fn proxies(node: &Node, report: &mut Report) -> Option<Spanned<Proxies>> {
    let proxies = match &node.value {
        Value::List(_) => Proxies::Networks(decode::some_texts(node, PROXY_NETWORKS_MAX, report)?),
        Value::Integer(_) => {
            let count = decode::integer(node, 1, PROXIES_MAX, report)?;
            Proxies::Count(u8::try_from(count).ok().and_then(NonZeroU8::new)?)
        }
        _ => {
            let expected = "a list of networks or a number of proxies";
            return decode::mistyped(node, expected, &habits::network::proxies_fix(&node.value), report);
        }
    };
    Some(Spanned::new(proxies, node.span))
}

fn proxy_field(node: &Node, report: &mut Report) -> Option<ProxyField> {
    let words = [ProxyField::XForwardedFor, ProxyField::Forwarded].map(|field| (field.as_str(), field));
    decode::word(node, &words, report)
}

fn client_fields(node: &Node, report: &mut Report) -> Option<ClientFields> {
    let words =
        [ClientFields::XForwarded, ClientFields::Forwarded, ClientFields::Both].map(|fields| (fields.as_str(), fields));
    decode::word(node, &words, report)
}

/// One platform, or a list of them.
fn targets(node: &Node, report: &mut Report) -> Option<Spanned<BTreeSet<Target>>> {
    let words = Target::ALL.map(|target| (target.as_str(), target));
    let one = |node: &Node, report: &mut Report| decode::word(node, &words, report);
    let all = match &node.value {
        Value::List(_) => decode::list(node, report, one)?.into_iter().collect(),
        _ => BTreeSet::from([one(node, report)?]),
    };
    Some(Spanned::new(all, node.span))
}

impl Telemetry {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::TELEMETRY, "`telemetry`", node.span, report)?;
        let log = fields.optional("log", report, decode::boolean);
        let otlp = fields.optional("otlp", report, Otlp::decode);
        let usage = fields.optional("usage", report, Usage::decode);
        fields.finish(report);
        Some(Self { log, otlp, usage })
    }
}

impl Usage {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        if matches!(node.value, Value::Bool(_)) {
            let fix = "write `usage: {}` for records every 10 seconds, or remove `usage` for none";
            return decode::mistyped(node, "a mapping", fix, report);
        }
        let mut fields = Fields::open(node, &tables::USAGE, "`usage`", node.span, report)?;
        let every_ms =
            fields.optional("every", report, |node, report| decode::quantity(node, &decode::DURATION, report));
        let keep_ms = fields.optional("keep", report, decode::placed_time_limit);
        fields.finish(report);
        Some(Self { every_ms, keep_ms })
    }
}

impl Otlp {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        if let Value::Text(url) = &node.value {
            let fix = match habits::word::all_or_none(url) {
                Some(_) => {
                    "remove `otlp` for no export, or write `{endpoint: \"https://otel.example.com\"}`".to_owned()
                }
                None => format!("write `{{endpoint: {}}}`", serde_json::Value::from(url.as_str())),
            };
            return decode::mistyped(node, "a mapping", &fix, report);
        }
        let mut fields = Fields::open(node, &tables::OTLP, "`otlp`", node.span, report)?;
        let endpoint = fields.required("endpoint", report, upstream::url);
        let headers = fields.optional("headers", report, upstream::headers).unwrap_or_default();
        let interval_ms = fields.optional("interval", report, decode::placed_time_limit);
        fields.finish(report);
        Some(Self { endpoint: endpoint?, headers, interval_ms })
    }
}

/// Decodes the two keys that every file has: `format`, and `$schema`, which is for editors.
pub(crate) fn format_version(fields: &mut Fields<'_>, report: &mut Report) {
    fields.optional("$schema", report, decode::text);
    let written = fields.required("format", report, |node, _| Some((node.value.clone(), node.span)));
    let (what, why, fix, span) = match written {
        Some((Value::Integer(1), _)) | None => return,
        Some((Value::Integer(_), span)) => (
            "the format version is not supported",
            "the meaning of the file may differ in another version",
            "write `format: 1`, or use a version of Tollgate that supports the format of the file",
            span,
        ),
        Some((_, span)) => (
            "the format version is not an integer",
            "versions of the format are 1, 2, 3 ...",
            "write `format: 1`",
            span,
        ),
    };
    report.push(Diagnostic::error(Code::FormatVersion, span, what).why(why).fix(fix));
}
