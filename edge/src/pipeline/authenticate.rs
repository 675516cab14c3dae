//! authenticate: one of the route's alternatives must authenticate the caller; a route without alternatives is public.

use std::pin::pin;
use std::sync::Arc;

use http::header::{LOCATION, REFERRER_POLICY, SET_COOKIE};
use tollgate_core::authn::{ClaimError, Presented, Principal};
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::kinds::{AuthnPolicy, Named, Place, SlotPolicy};
use tollgate_core::problem::{Problem, ProblemKind};

use super::challenges::{challenged, presents};
use super::content::RequestContent;
use super::exchange::{Exchange, Journal};
use crate::apart::{apart, rare};
use crate::isolate::Isolate;
use crate::policies::Authenticates;
use crate::policies::login::{begin, unavailable};
use crate::ports::Host;

/// The principal, or `None` on a public route and for an anonymous caller.
pub(super) async fn authenticate<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    content: &mut H::Content,
    journal: &mut Journal,
) -> Result<Option<Arc<Principal>>, Problem> {
    if exchange.route().authn.is_empty() {
        journal.note(Phase::Authenticate, Verdict::Skip, Reason::Public);
        return Ok(None);
    }
    let mut undos = Vec::new();
    let mut cookie = None;
    let content = RequestContent::new(exchange, content, &mut undos, &mut cookie);
    let authenticated = apart(pin!(by_any(isolate, host, exchange, content, journal))).await;
    journal.undos.append(&mut undos);
    journal.cookie = cookie;
    authenticated
}

/// Authenticates with the first alternative that identifies the caller. One without policies admits a caller who presents no
/// credential.
async fn by_any<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    mut content: RequestContent<'_, H::Content>,
    journal: &mut Journal,
) -> Result<Option<Arc<Principal>>, Problem> {
    let alternatives = &exchange.route().authn;
    let mut seen = Seen::default();
    let mut furthest: Option<Failed> = None;
    let mut revoked: Vec<&str> = Vec::new();
    for (place, alternative) in alternatives.iter().enumerate().filter(|(_, alternative)| !alternative.is_empty()) {
        // The last ones: a credential that was presented, and is wrong, never makes an anonymous caller.
        if seen.any && is_anonymous(exchange, alternative) {
            continue;
        }
        if !revoked.is_empty()
            && alternative.iter().filter_map(|place| text_for(exchange, *place)).any(|text| revoked.contains(&text))
        {
            continue;
        }
        match by_all(isolate, host, exchange, alternative, (&mut seen, &mut content), journal).await {
            Ok(principal) => {
                let others = alternatives[place + 1..].iter().flatten().filter(|other| !alternative.contains(other));
                for other in others.filter(|other| !is_read_by(exchange, alternative, **other)) {
                    seen.look(isolate, host, exchange, *other, &mut content).await?;
                }
                return if seen.differ { Err(conflict(exchange, journal)) } else { Ok(Some(principal)) };
            }
            // The content is lost, so no other policy may admit the request.
            Err(failed) if !content.is_there() => return Err(failed.problem),
            Err(failed) => {
                if failed.problem.kind == ProblemKind::CredentialRevoked {
                    // The credential is, so no other policy that reads it may admit the request.
                    revoked.extend(alternative.get(failed.passed).and_then(|place| text_for(exchange, *place)));
                }
                furthest = Some(match furthest {
                    Some(earlier) => earlier.or_further(failed),
                    None => failed,
                });
            }
        }
    }
    if !seen.any && alternatives.iter().any(Vec::is_empty) {
        journal.note(Phase::Authenticate, Verdict::Skip, Reason::Anonymous);
        return Ok(None);
    }
    let problem = furthest.map_or_else(no_credential, |failed| failed.problem);
    if problem.kind == ProblemKind::LoginRequired {
        return Err(rare(sent_to_provider(isolate, host, exchange, problem, journal)).await);
    }
    journal.note(Phase::Authenticate, Verdict::Refuse, Reason::NotAuthenticated);
    Err(challenged(problem, exchange))
}

/// The redirect of a person to the provider of the policy that asks for a login.
async fn sent_to_provider<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    problem: Problem,
    journal: &mut Journal,
) -> Problem {
    let asks = exchange.authenticators().find(|named| problem.policy.as_ref() == Some(&named.name));
    let Some((named, login)) = asks.and_then(|named| Some((named, named.policy.login()?))) else { return problem };
    match begin(login, &named.name, isolate, host, &exchange.received).await {
        Ok((location, cookie)) => {
            journal.note(Phase::Authenticate, Verdict::Refuse, Reason::NotAuthenticated);
            // The provider is not told which page was asked for.
            problem.with(LOCATION, location).with(SET_COOKIE, cookie).with(REFERRER_POLICY, "no-referrer")
        }
        Err(why) => journal.refused(Phase::Authenticate, unavailable(why).by(named.name.clone())),
    }
}

/// Whether an alternative admits callers that present no credential, as a consumer.
fn is_anonymous(exchange: &Exchange, alternative: &[Place<AuthnPolicy>]) -> bool {
    matches!(alternative, [only] if exchange.policy(*only).policy.is_anonymous())
}

/// Whether a policy would read the very text that a policy of this alternative has accepted. That is one credential, so there is no
/// need to ask anybody about it once more.
fn is_read_by(exchange: &Exchange, alternative: &[Place<AuthnPolicy>], other: Place<AuthnPolicy>) -> bool {
    let Some(text) = text_for(exchange, other) else { return false };
    alternative.iter().any(|place| text_for(exchange, *place) == Some(text))
}

/// The text that a policy reads.
fn text_for(exchange: &Exchange, place: Place<AuthnPolicy>) -> Option<&str> {
    let received = &exchange.received;
    let credential = exchange.policy(place).policy.as_kind().uses().credential?;
    match credential.presented(&received.fields, received.query.as_deref()) {
        Presented::Text(text) => Some(text),
        Presented::Nothing | Presented::Several => None,
    }
}

/// Authenticates with every policy of an alternative; all must identify the same consumer.
async fn by_all<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    alternative: &[Place<AuthnPolicy>],
    (seen, content): (&mut Seen, &mut RequestContent<'_, H::Content>),
    journal: &mut Journal,
) -> Result<Arc<Principal>, Failed> {
    let mut recognised: Option<Arc<Principal>> = None;
    for (passed, place) in alternative.iter().enumerate() {
        let Named { name, policy } = exchange.policy(*place);
        let found = policy.authenticate(name, isolate, host, &exchange.received, content).await;
        seen.note(&found);
        let found =
            found.and_then(|found| joined(recognised.take(), found)).map_err(|problem| problem.by(name.clone()));
        match &found {
            Ok(principal) => {
                let reason = Reason::Authenticated { principal: Arc::clone(principal) };
                // The record, and all that is made of it, says that the provider of the token is away.
                let verdict = if principal.in_outage { Verdict::OpenOnFailure } else { Verdict::Pass };
                journal.note_policy(Phase::Authenticate, name, verdict, reason);
            }
            Err(problem) => {
                journal.note_policy(Phase::Authenticate, name, verdict(problem), problem.reason.clone());
            }
        }
        recognised = Some(found.map_err(|problem| Failed { passed, problem })?);
    }
    recognised.ok_or_else(|| Failed { passed: 0, problem: no_credential() })
}

/// The credentials of a request that were seen so far, with whatever policy.
#[derive(Default)]
struct Seen {
    /// Whether there is one, right or wrong.
    any: bool,
    first: Option<Arc<Principal>>,
    /// Whether two credentials name different consumers.
    differ: bool,
}

impl Seen {
    fn note(&mut self, found: &Result<Arc<Principal>, Problem>) {
        match (found, &self.first) {
            (Ok(principal), Some(first)) => {
                // One token may be that of several policies, which give their consumers different names.
                self.differ |= first.consumer != principal.consumer && !first.has_credential_of(principal);
            }
            (Ok(principal), None) => self.first = Some(Arc::clone(principal)),
            (Err(problem), _) => {
                self.any |= !is_missing(problem);
                return;
            }
        }
        self.any = true;
    }

    /// Looks at a policy that did not have to decide. A wrong credential beside a right one changes nothing, unless the content
    /// is lost with it.
    async fn look<H: Host>(
        &mut self,
        isolate: &Isolate,
        host: &H,
        exchange: &Exchange,
        place: Place<AuthnPolicy>,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<(), Problem> {
        let Named { name, policy } = exchange.policy(place);
        if presents(&exchange.received, policy) {
            let found = policy.authenticate(name, isolate, host, &exchange.received, content).await;
            self.note(&found);
            if let (Err(problem), false) = (found, content.is_there()) {
                return Err(problem.by(name.clone()));
            }
        }
        Ok(())
    }
}

/// Why an alternative did not authenticate the caller.
struct Failed {
    /// How many of its policies did.
    passed: usize,
    problem: Problem,
}

impl Failed {
    /// The failure of the alternative that got further; of two that got as far, that of the earlier one.
    fn or_further(self, later: Self) -> Self {
        if later.progress() > self.progress() { later } else { self }
    }

    /// How far it got: whether a store was unavailable, so that it might have passed; how many of its policies passed; and how
    /// well the policy that did not knows the credential that was presented.
    fn progress(&self) -> (bool, usize, u8) {
        let known = match self.problem.kind {
            // A token of somebody else is not known here.
            _ if matches!(self.problem.reason, Reason::TokenNotAccepted { error: ClaimError::Issuer }) => 2,
            ProblemKind::CredentialMissing => 0,
            ProblemKind::LoginRequired => 1,
            ProblemKind::CredentialMalformed => 2,
            ProblemKind::CredentialUnknown | ProblemKind::CredentialMisplaced => 3,
            ProblemKind::CredentialNotAccepted => 4,
            _ => 5,
        };
        (self.problem.kind == ProblemKind::StoreUnavailable, self.passed, known)
    }
}

fn no_credential() -> Problem {
    Problem::new(ProblemKind::CredentialMissing, "A credential is required.", Reason::NotAuthenticated)
}

/// Two credentials of different consumers: which of them the caller is would depend on an order.
fn differing() -> Problem {
    let detail = "The request has credentials of different consumers. Send those of one consumer only.";
    Problem::new(ProblemKind::CredentialMalformed, detail, Reason::ConsumersDiffer)
}

fn conflict(exchange: &Exchange, journal: &mut Journal) -> Problem {
    journal.note(Phase::Authenticate, Verdict::Refuse, Reason::ConsumersDiffer);
    challenged(differing(), exchange)
}

/// The principal of two credentials of one consumer: the first one, with the scopes, groups and claims of both.
fn joined(first: Option<Arc<Principal>>, second: Arc<Principal>) -> Result<Arc<Principal>, Problem> {
    let Some(first) = first else { return Ok(second) };
    if first.consumer != second.consumer {
        return Err(differing());
    }
    Ok(Arc::new(Arc::unwrap_or_clone(first).joined(&second)))
}

fn verdict(problem: &Problem) -> Verdict {
    // Another policy may authenticate the caller, so a missing credential is not a refusal yet.
    if is_missing(problem) { Verdict::Skip } else { problem.verdict() }
}

/// Whether nothing was presented. A person whose session has ended has presented something.
fn is_missing(problem: &Problem) -> bool {
    problem.kind == ProblemKind::CredentialMissing || matches!(problem.reason, Reason::SessionMissing)
}
