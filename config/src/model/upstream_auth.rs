//! `upstreams.NAME.auth`, and `upstream-auth` of the other levels.

use tollgate_core::forward::TokenType;
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::secret::SecretText;

use super::level::{Setting, is_none};
use crate::decode::{self, Fields};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::schema::Object;
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
    Basic { user: Spanned<String>, password: Spanned<String> },
    ClientCredentials(Box<WrittenServer>),
    TokenExchange { server: Box<WrittenServer>, subject: TokenType, actor: Option<Spanned<String>> },
    Aws(Box<WrittenAws>),
}

/// An authorization server, and what the gateway asks of it.
#[derive(Clone, Debug)]
pub(crate) struct WrittenServer {
    pub(crate) url: Spanned<String>,
    pub(crate) id: Spanned<String>,
    pub(crate) secret: Spanned<String>,
    pub(crate) client: WithSecret,
    pub(crate) scopes: Vec<Spanned<String>>,
    pub(crate) audience: Option<Spanned<String>>,
    pub(crate) resources: Vec<Spanned<String>>,
    pub(crate) is_private: bool,
}

/// How requests to AWS are signed.
#[derive(Clone, Debug)]
pub(crate) struct WrittenAws {
    pub(crate) region: Spanned<String>,
    pub(crate) service: Spanned<String>,
    pub(crate) key_id: Spanned<String>,
    pub(crate) secret: Spanned<String>,
    pub(crate) session: Option<Spanned<String>>,
    pub(crate) signs_content: Option<Spanned<bool>>,
    pub(crate) forwarded: Vec<Spanned<String>>,
}

impl How {
    /// The word of the kind.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::ClientCredentials(_) => "client-credentials",
            Self::TokenExchange { .. } => "token-exchange",
            Self::Aws(_) => "aws-sigv4",
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
        let words: Vec<(&str, Kind)> =
            tables::AUTH_KINDS.iter().zip(READERS).map(|((word, table), read)| (*word, (*table, read))).collect();
        let kind = fields.required("kind", report, |node, report| decode::word(node, &words, report));
        // Without a kind, it is not known which other keys exist.
        let (table, read) = kind?;
        fields.use_variant(table);
        let how = read(&mut fields, report);
        fields.finish(report);
        Some(Self { at: node.span, how: how? })
    }
}

type Read = fn(&mut Fields<'_>, &mut Report) -> Option<How>;
type Kind = (&'static Object, Read);

/// The readers of the kinds, in the order of their tables.
const READERS: [Read; 4] = [basic, client_credentials, token_exchange, aws];

fn basic(fields: &mut Fields<'_>, report: &mut Report) -> Option<How> {
    let user = fields.required("user", report, decode::text);
    let password = fields.required("password", report, decode::text);
    Some(How::Basic { user: user?, password: password? })
}

fn client_credentials(fields: &mut Fields<'_>, report: &mut Report) -> Option<How> {
    Some(How::ClientCredentials(server(fields, report)?))
}

fn token_exchange(fields: &mut Fields<'_>, report: &mut Report) -> Option<How> {
    let server = server(fields, report);
    let subject = fields.optional("subject-type", report, |node, report| decode::word(node, &TOKEN_TYPES, report));
    let actor = fields.optional("actor-token", report, decode::text);
    Some(How::TokenExchange { server: server?, subject: subject.unwrap_or(TokenType::AccessToken), actor })
}

fn server(fields: &mut Fields<'_>, report: &mut Report) -> Option<Box<WrittenServer>> {
    let texts = |node: &Node, report: &mut Report| decode::list(node, report, decode::text);
    let url = fields.required("token-url", report, decode::text);
    let id = fields.required("client-id", report, decode::text);
    let secret = fields.required("client-secret", report, decode::text);
    let client = fields.optional("client-auth", report, |node, report| decode::word(node, &CLIENT_AUTH, report));
    let scopes = fields.optional("scopes", report, texts);
    let audience = fields.optional("audience", report, decode::text);
    let resources = fields.optional("resources", report, texts);
    let is_private = fields.optional("private-network", report, decode::boolean);
    Some(Box::new(WrittenServer {
        url: url?,
        id: id?,
        secret: secret?,
        client: client.unwrap_or(ClientAuthentication::Basic),
        scopes: scopes.unwrap_or_default(),
        audience,
        resources: resources.unwrap_or_default(),
        is_private: is_private.unwrap_or_default(),
    }))
}

fn aws(fields: &mut Fields<'_>, report: &mut Report) -> Option<How> {
    let region = fields.required("region", report, decode::text);
    let service = fields.required("service", report, decode::text);
    let key_id = fields.required("access-key-id", report, decode::text);
    let secret = fields.required("secret-access-key", report, decode::text);
    let session = fields.optional("session-token", report, decode::text);
    let signs_content = fields.optional("sign-content", report, |node, report| {
        decode::boolean(node, report).map(|value| Spanned::new(value, node.span))
    });
    let forwarded = fields.optional("forward", report, |node, report| decode::list(node, report, decode::text));
    let forwarded = forwarded.unwrap_or_default();
    Some(How::Aws(Box::new(WrittenAws {
        region: region?,
        service: service?,
        key_id: key_id?,
        secret: secret?,
        session,
        signs_content,
        forwarded,
    })))
}

/// Makes the authentication from id and secret.
type WithSecret = fn(String, SecretText) -> ClientAuthentication;

/// How the gateway sends id and secret.
const CLIENT_AUTH: [(&str, WithSecret); 3] = [
    ("basic", ClientAuthentication::Basic),
    ("post", ClientAuthentication::Post),
    ("private-key-jwt", ClientAuthentication::PrivateKey),
];

/// The kinds of tokens of callers.
const TOKEN_TYPES: [(&str, TokenType); 3] =
    [("access-token", TokenType::AccessToken), ("jwt", TokenType::Jwt), ("id-token", TokenType::IdToken)];
