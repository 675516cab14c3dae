//! What tokens cost on each host: a remembered one against an API key, a new one of each algorithm, and peers that verify tokens.

use std::collections::BTreeMap;
use std::process::Command;

use serde::Deserialize;

use crate::compare::{Row, compare_briefly};
use crate::cpu::cpu_time;
use crate::load::{Asked, Load, each_once};
use crate::native::Gateway;
use crate::peers;
use crate::project;
use crate::server::upstream;
use crate::side::{self, Side};
use crate::spin::Host;
use crate::workerd::Worker;

/// For each algorithm.
type All = BTreeMap<String, Signed>;

/// A public key, and tokens that its private key has signed.
#[derive(Deserialize)]
struct Signed {
    jwks: String,
    tokens: Vec<String>,
}

/// How often each is measured, and with how many tokens.
const ROUNDS: usize = 5;
const TOKENS: usize = 300;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let all = tokens()?;
    let upstream = upstream()?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let keys: Vec<(&str, &str)> = all.iter().map(|(alg, signed)| (alg.as_str(), signed.jwks.as_str())).collect();
    let files = |log| project::token_files(upstream, log, &keys);
    let mut rows = Vec::new();

    let native = Gateway::of_files(&Side::own(), &folder.path().join("own"), &files(true), &[])?;
    let ask = |asked| Load::of(native.address, native.program.0.id(), asked);
    rows.extend(of_host("native", &all, &ask)?);
    let rs256 = all.get(REMEMBERED).ok_or("no tokens")?;
    if let Some((address, envoy)) = peers::envoy_with_keys(folder.path(), upstream, &rs256.jwks)? {
        let other = Load::of(address, envoy.0.id(), vec![asked("/token/RS256", rs256.tokens.first())?]);
        let own = ask(vec![asked("/token/RS256", rs256.tokens.first())?]);
        rows.push(compare_briefly("native: a remembered token, RS256, against Envoy with jwt_authn", &own, &other)?);
    }
    drop(native);

    let host = Host::of_files(&files(true))?;
    rows.extend(of_host("spin", &all, &|asked| host.of_asked(asked))?);
    drop(host);

    let worker = Worker::of_files(&Side::own(), &files(false))?;
    let ask = |asked| Load::of(worker.address, worker.program.0.id(), asked);
    rows.extend(of_host("workerd", &all, &ask)?);
    let hono = Worker::hono_with_keys(upstream, &rs256.jwks)?;
    let one = || asked("/token/RS256", rs256.tokens.first()).map(|asked| vec![asked]);
    let other = Load::of(hono.address, hono.program.0.id(), one()?);
    rows.push(compare_briefly("workerd: a remembered token, RS256, against Hono with jwk", &ask(one()?), &other)?);
    Ok(rows)
}

/// The tokens that nobody has seen, of each algorithm.
fn tokens() -> Result<All, String> {
    let mut node = Command::new("node");
    node.arg(side::root().join("bench/peers/tokens.mjs")).arg((ROUNDS * TOKENS + 1).to_string());
    let said = node.output().map_err(|error| format!("node: {error}"))?;
    serde_json::from_slice(&said.stdout).map_err(|error| format!("the tokens: {error}"))
}

/// The algorithm of the token that is compared with a key.
const REMEMBERED: &str = "RS256";

fn asked(path: &str, token: Option<&String>) -> Result<Asked, String> {
    let token = token.ok_or("too few tokens")?;
    Ok(Asked::new(path, &[("authorization", &format!("Bearer {token}"))]))
}

/// A remembered token under load, and the CPU time of new ones, one after the other.
fn of_host(host: &str, all: &All, load: &dyn Fn(Vec<Asked>) -> Load) -> Result<Vec<Row>, String> {
    let key = || vec![Asked::new("/key", &[("x-api-key", &project::key())])];
    let last = |alg: &str| asked(&format!("/token/{alg}"), all.get(alg).and_then(|signed| signed.tokens.last()));
    let remembered = load(vec![last(REMEMBERED)?]);
    let what = format!("{host}: a remembered token against an API key");
    let mut rows = vec![compare_briefly(&what, &remembered, &load(key()))?];
    let mut taken: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for (alg, signed) in all {
            let path = format!("/token/{alg}");
            let new = signed.tokens.iter().skip(round * TOKENS).take(TOKENS);
            let new = new.map(|token| asked(&path, Some(token))).collect::<Result<Vec<_>, _>>()?;
            let again = each(&load(vec![last(alg)?; TOKENS]))?;
            taken.entry(alg).or_default().push((each(&load(new))?, again));
        }
    }
    for (alg, taken) in taken {
        let (new, again): (Vec<f64>, Vec<f64>) = taken.into_iter().unzip();
        let (new, again) = (middle(new), middle(again));
        let said = format!("{new:.0} µs CPU, {:.0} of them to verify", new - again);
        rows.push(Row::plain(
            format!("{host}: a new token, {alg}, against a remembered one"),
            said,
            format!("{again:.0} µs CPU"),
            format!("{:.1} (more is slower)", new / again),
        ));
    }
    Ok(rows)
}

/// The CPU time of each of some requests, in microseconds.
fn each(load: &Load) -> Result<f64, String> {
    let before = cpu_time(load.process);
    each_once(load)?;
    let taken = cpu_time(load.process).zip(before).map(|(after, before)| after.saturating_sub(before));
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let requests = load.asked.len() as f64;
    Ok(taken.unwrap_or_default().as_secs_f64() * 1e6 / requests)
}

fn middle(mut taken: Vec<f64>) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}
