//! Runs one case: its steps in order, up to the first that fails.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use tollgate_config::policy_tests::{
    Action, Case, Expect, IssuerChange, Port, PurgeWhat, RequestStep, Step, TestToken,
};
use tollgate_config::{Span, Spanned};
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::route::{CanonicalPath, HostName};
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_edge::Client;
use tollgate_edge::memory::{Content, Fault};
use tollgate_edge::ports::{Clock, Content as _};
use tollgate_kv_schemas::{encode, keys};

use super::browser::{back, next};
use super::coverage::Coverage;
use super::entitle::entitle;
use super::judge::judge;
use super::notice::Sent;
use super::outage::say;
use super::outcome::{Kind, Mismatch, TestFailure, TestRun};
use super::request::{Prepared, prepare};
use super::stage::{Bench, Stage};

/// The result of one request.
pub(super) struct Exchanged {
    pub(super) response: Response<Content>,
    pub(super) record: ExchangeRecord,
    /// The requests that upstreams received, with the names of the upstreams.
    pub(super) calls: Vec<(String, Request<Content>)>,
    /// The notices of limits that were sent after the response.
    pub(super) notices: Vec<Sent>,
}

/// Runs a case.
pub(super) fn run(stage: &Stage<'_>, case: &Case, coverage: Option<&mut Coverage>) -> TestRun {
    let started = Instant::now();
    let mut running = Running { stage, bench: stage.bench(case), coverage, requests: 0, purges: Purges::default() };
    let failure = case.steps.iter().enumerate().find_map(|(place, step)| running.step(step, place + 1).err());
    TestRun {
        name: case.name.value.clone(),
        kind: Kind::Case,
        at: case.name.span,
        took: started.elapsed(),
        requests: running.requests,
        failure,
    }
}

struct Running<'r, 'f> {
    stage: &'r Stage<'f>,
    bench: Bench,
    coverage: Option<&'r mut Coverage>,
    requests: u64,
    purges: Purges,
}

impl Running<'_, '_> {
    fn step(&mut self, step: &Step, number: usize) -> Result<(), TestFailure> {
        let clock = &self.bench.host.clock;
        match &step.action {
            Action::Request(request) => return self.request(request, number),
            Action::Advance(ms) => clock.advance(*ms),
            Action::At(at) => {
                if clock.now() > *at {
                    return Err(late(step.span, number, &at.to_rfc3339(), &clock.now().to_rfc3339()));
                }
                clock.advance_to(*at);
            }
            Action::Purge(what) => return self.purge(what, step.span, number),
            Action::Fault(ports) => ports.iter().for_each(|port| self.fault(*port).set(true)),
            Action::Restore(ports) => ports.iter().for_each(|port| self.fault(*port).set(false)),
            Action::Issuers(changes) => {
                changes.iter().for_each(|(name, change)| self.bench.issuers.change(&name.value, change));
                return changes.iter().try_for_each(|(name, change)| match change {
                    IssuerChange::LogsOut(person) => self.log_out(name, person, number),
                    IssuerChange::Publishes(_) | IssuerChange::Answers(_) | IssuerChange::Accounts(_) => Ok(()),
                });
            }
            Action::Entitle(step_of_operator) => {
                let done = entitle(&self.bench, step_of_operator);
                return done.map_err(|mismatch| failure(step.span, format!("step {number}"), mismatch));
            }
            Action::Outage(outage) => {
                let said = say(&self.bench, outage);
                return said.map_err(|mismatch| failure(step.span, format!("step {number}, idp-outage"), mismatch));
            }
        }
        Ok(())
    }

    fn fault(&self, port: Port) -> &Fault {
        let host = &self.bench.host;
        match port {
            Port::Records => &host.records.fault,
            Port::Counters => &host.counters.fault,
            Port::Cache => &host.cache.fault,
            Port::Secrets => &host.secrets.fault,
            Port::Telemetry => &host.sink.fault,
        }
    }

    fn request(&mut self, step: &RequestStep, number: usize) -> Result<(), TestFailure> {
        let failed = |what: String, got: &str| {
            let expected = "a request that can be sent".to_owned();
            failure(step.span, what, Mismatch { what: "request".into(), at: step.span, expected, got: got.to_owned() })
        };
        let line = format!("step {number}, {} {}", step.method, step.target);
        let prepare = |bench: &Bench| prepare(self.stage, bench, step).map_err(|got| failed(line.clone(), &got));
        let mut prepared = prepare(&self.bench)?;
        let scripts = &self.bench.scripts;
        let route = || self.stage.route_of(prepared.request.clone(), prepared.client);
        let route = scripts.ask_for_routes().then(route).flatten().map(|route| route.settings.id.clone());
        scripts.begin_step(step.upstream.as_ref(), route);
        let mut counts: BTreeMap<u16, u32> = BTreeMap::new();
        let has_proof = step.token.as_ref().is_some_and(|token| token.proof.is_some());
        for nth in 1..=step.repeat {
            if nth > 1 && has_proof {
                prepared = prepare(&self.bench)?;
            }
            let exchanged = match &step.browser {
                Some(browser) => self.open(browser, step.log_in.as_ref(), &prepared),
                None => self.send(&prepared).ok_or_else(|| NEVER_ENDS.to_owned()),
            };
            let exchanged = exchanged.map_err(|why| failed(line.clone(), &why))?;
            *counts.entry(exchanged.response.status().as_u16()).or_default() += 1;
            for expect in expected_of(step, nth) {
                let mismatches = judge(expect, &exchanged);
                if !mismatches.is_empty() {
                    let events = Some(exchanged.record.events);
                    return Err(TestFailure {
                        at: expect.span,
                        what: the_nth(&line, nth, step.repeat),
                        mismatches,
                        events,
                    });
                }
            }
        }
        check_counts(step, &counts).map_or(Ok(()), |mismatch| Err(failure(mismatch.at, line, mismatch)))
    }

    fn send(&mut self, prepared: &Prepared) -> Option<Exchanged> {
        self.bench.host.certificates.set(&prepared.certificate);
        self.bench.host.location.set(prepared.location.clone());
        let (response, record) = self.bench.serve(prepared.request.clone(), prepared.client)?;
        self.requests += 1;
        let received = self.bench.host.upstream.take_received();
        let calls = self.bench.scripts.take_called().into_iter().zip(received).collect();
        let notices = self.bench.take_notices();
        // Logs and exports are not needed here, and a step can repeat a million times.
        self.bench.host.sink.clear();
        if let Some(coverage) = &mut self.coverage {
            coverage.note(&record);
        }
        Some(Exchanged { response, record, calls, notices })
    }

    /// Sends a request of a browser. If that is sent to the provider, the person with this token logs in there, and the browser comes
    /// back and goes on to the page; the exchange is the last one.
    fn open(&mut self, browser: &str, token: Option<&TestToken>, first: &Prepared) -> Result<Exchanged, String> {
        let (request, exchanged) = self.visit(browser, first, first.request.clone())?;
        let Some(token) = token else { return Ok(exchanged) };
        let back = back(&self.bench.issuers, token, &request, exchanged.response.headers())?;
        let Some(back) = back else { return Ok(exchanged) };
        let (request, exchanged) = self.visit(browser, first, back)?;
        match next(&request, exchanged.response.headers())? {
            Some(page) => self.visit(browser, first, page).map(|(_, exchanged)| exchanged),
            None => Ok(exchanged),
        }
    }

    /// Sends one request of a browser, from the same client as another one.
    fn visit(
        &mut self,
        browser: &str,
        from: &Prepared,
        mut request: Request<Content>,
    ) -> Result<(Request<Content>, Exchanged), String> {
        let now = |bench: &Bench| bench.host.clock.now();
        self.bench.browsers.complete(browser, &mut request, now(&self.bench));
        let (certificate, location) = (Rc::clone(&from.certificate), from.location.clone());
        let prepared = Prepared { request, client: from.client, certificate, location };
        let exchanged = self.send(&prepared).ok_or_else(|| NEVER_ENDS.to_owned())?;
        let fields = exchanged.response.headers();
        self.bench.browsers.keep(browser, &prepared.request, fields, now(&self.bench));
        Ok((prepared.request, exchanged))
    }

    /// An issuer tells the gateway that a person has logged out.
    fn log_out(&self, issuer: &Spanned<String>, person: &str, number: usize) -> Result<(), TestFailure> {
        let failed = |expected: &str, got: String| {
            let mismatch = Mismatch { what: "logs-out".into(), at: issuer.span, expected: expected.to_owned(), got };
            failure(issuer.span, format!("step {number}, issuers"), mismatch)
        };
        let told = self.stage.told_of_logouts(&issuer.value);
        if told.is_empty() {
            let got = "none: such policies have `kind: oidc-login` and `revocable: true`".to_owned();
            return Err(failed("a policy for logins at this issuer that can be told", got));
        }
        for (host, path) in told {
            let token = self.bench.issuers.logout_token(issuer, person, self.bench.host.clock.now());
            let form = token.map(|token| Content::from_bytes(format!("logout_token={token}").into()));
            let request = form.and_then(|form| {
                let request = Request::builder().method(Method::POST).uri(&path).header(HOST, &host);
                request.header(CONTENT_TYPE, FORM).body(form).map_err(|error| error.to_string())
            });
            let request = request.map_err(|why| failed("a logout token", why))?;
            let client = Client { address: None, https: true, inside: false };
            let status = self.bench.serve(request, client).map(|(response, _)| response.status().as_u16());
            if status != Some(200) {
                let got = status.map_or_else(|| NEVER_ENDS.to_owned(), |status| format!("status {status}"));
                return Err(failed("a gateway that takes note of the logout", got));
            }
        }
        Ok(())
    }

    /// Publishes a purge and lets the isolate read it, as it would within the delay of purges.
    fn purge(&mut self, what: &PurgeWhat, at: Span, number: usize) -> Result<(), TestFailure> {
        let host = &self.bench.host;
        let now = host.clock.now();
        let resources = match what {
            PurgeWhat::All => vec![None],
            PurgeWhat::Url { host: named, target } => {
                self.resources(named.as_deref(), &target.value).into_iter().map(Some).collect()
            }
        };
        if let (true, PurgeWhat::Url { target, .. }) = (resources.is_empty(), what) {
            let expected = "a URL of a cached route".to_owned();
            let got = format!("nothing is ever stored for {}", target.value);
            let mismatch = Mismatch { what: "purge".into(), at: target.span, expected, got };
            return Err(failure(at, format!("step {number}, purge"), mismatch));
        }
        resources.into_iter().for_each(|resource| self.purges.add(Purge { resource, at: now }));
        host.records.put(keys::purges(self.stage.compiled.gateway()), encode(&self.purges));
        let _ = host.clock.drive(self.bench.isolate.refresh(host));
        Ok(())
    }

    /// What is stored for a URL, on the first host that stores anything for it.
    fn resources(&self, host: Option<&str>, target: &str) -> Vec<CacheKey> {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let Ok(path) = CanonicalPath::parse(path.as_bytes()) else { return Vec::new() };
        let Bench { host: ports, isolate, .. } = &self.bench;
        let of_host = |host: &str| {
            let name = HostName::from_authority(host).ok()?;
            let found = ports.clock.drive(isolate.resources(ports, &name, &path, query))?.ok()?;
            (!found.is_empty()).then_some(found)
        };
        let hosts = host.map_or_else(|| self.stage.hosts(true), |host| vec![host]);
        hosts.into_iter().find_map(of_host).unwrap_or_default()
    }
}

/// The expectations for the nth answer of a step.
fn expected_of(step: &RequestStep, nth: u32) -> impl Iterator<Item = &Expect> {
    let first = step.first.as_ref().filter(|_| nth == 1);
    let last = step.last.as_ref().filter(|_| nth == step.repeat);
    first.into_iter().chain(last).chain(&step.each)
}

fn check_counts(step: &RequestStep, counts: &BTreeMap<u16, u32>) -> Option<Mismatch> {
    let (first, _) = step.count.first()?;
    let expected: BTreeMap<u16, u32> =
        step.count.iter().filter(|(_, count)| *count > 0).map(|(status, count)| (status.value, *count)).collect();
    let shown = |counts: &BTreeMap<u16, u32>| {
        counts.iter().map(|(status, count)| format!("{status}: {count}")).collect::<Vec<_>>().join(", ")
    };
    let differs = Mismatch { what: "count".into(), at: first.span, expected: shown(&expected), got: shown(counts) };
    (expected != *counts).then_some(differs)
}

/// What a request is that is never answered.
const NEVER_ENDS: &str = "a request that waits for an event that never happens";

const FORM: &str = "application/x-www-form-urlencoded";

fn late(at: Span, number: usize, wanted: &str, now: &str) -> TestFailure {
    let expected = format!("{wanted} is in the future");
    let got = format!("the clock is at {now}, because upstreams or repeated calls to stores took time");
    failure(at, format!("step {number}"), Mismatch { what: "at".into(), at, expected, got })
}

fn failure(at: Span, what: String, mismatch: Mismatch) -> TestFailure {
    TestFailure { at, what, mismatches: vec![mismatch], events: None }
}

fn the_nth(line: &str, nth: u32, of: u32) -> String {
    if of == 1 { line.to_owned() } else { format!("{line}, request {nth} of {of}") }
}
