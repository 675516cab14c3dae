//! `upstreams.NAME.auth`.

use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::secret::SecretText;

use super::level::{Setting, is_none};
use crate::decode::{self, Fields};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::Node;

/// How the gateway authenticates itself to an upstream, as written.
#[derive(Clone, Debug)]
pub(crate) struct WrittenAuth {
    pub(crate) at: Span,
    pub(crate) how: How,
}

/// The kinds of authentication.
#[derive(Clone, Debug)]
pub(crate) enum How {
    Basic {
        user: Spanned<String>,
        password: Spanned<String>,
    },
    ClientCredentials {
        url: Spanned<String>,
        id: Spanned<String>,
        secret: Spanned<String>,
        client: WithSecret,
        scopes: Vec<Spanned<String>>,
        audience: Option<Spanned<String>>,
        is_private: bool,
    },
}

impl How {
    /// The word of the kind.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::ClientCredentials { .. } => "client-credentials",
        }
    }
}

impl WrittenAuth {
    /// Decodes `auth: {kind: ..}`, or `none`.
    pub(crate) fn statement(node: &Node, report: &mut Report) -> Option<Setting<Option<Self>>> {
        let value = if is_none(node) { None } else { Some(Self::decode(node, report)?) };
        Some(Setting { value, span: node.span, locked: None })
    }

    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::AUTH_HEAD, "`auth` of an upstream", node.span, report)?;
        let words = tables::AUTH_KINDS.iter().map(|(word, table)| (*word, (*word, *table))).collect::<Vec<_>>();
        let kind = fields.required("kind", report, |node, report| decode::word(node, &words, report));
        // Without a kind, it is not known which other keys exist.
        let (word, table) = kind?;
        fields.use_variant(table);
        let how = if word == "basic" { basic(&mut fields, report) } else { client_credentials(&mut fields, report) };
        fields.finish(report);
        Some(Self { at: node.span, how: how? })
    }
}

fn basic(fields: &mut Fields<'_>, report: &mut Report) -> Option<How> {
    let user = fields.required("user", report, decode::text);
    let password = fields.required("password", report, decode::text);
    Some(How::Basic { user: user?, password: password? })
}

fn client_credentials(fields: &mut Fields<'_>, report: &mut Report) -> Option<How> {
    let url = fields.required("token-url", report, decode::text);
    let id = fields.required("client-id", report, decode::text);
    let secret = fields.required("client-secret", report, decode::text);
    let client = fields.optional("client-auth", report, |node, report| decode::word(node, &CLIENT_AUTH, report));
    let scopes = fields.optional("scopes", report, |node, report| decode::list(node, report, decode::text));
    let audience = fields.optional("audience", report, decode::text);
    let is_private = fields.optional("private-network", report, decode::boolean);
    Some(How::ClientCredentials {
        url: url?,
        id: id?,
        secret: secret?,
        client: client.unwrap_or(ClientAuthentication::Basic),
        scopes: scopes.unwrap_or_default(),
        audience,
        is_private: is_private.unwrap_or_default(),
    })
}

/// Makes the authentication from id and secret.
type WithSecret = fn(String, SecretText) -> ClientAuthentication;

/// How the gateway sends id and secret.
const CLIENT_AUTH: [(&str, WithSecret); 3] = [
    ("basic", ClientAuthentication::Basic),
    ("post", ClientAuthentication::Post),
    ("private-key-jwt", ClientAuthentication::PrivateKey),
];
