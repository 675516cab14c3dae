//! `tollgate secrets`: the secrets of a project, and whether they have a value.

mod certificates;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_config::Whole;
use tollgate_core::authn::{WEBHOOK_SECRET_BYTES_MIN, WebhookSender};
use tollgate_core::kinds::AuthnPolicy;
use tollgate_core::operator::{Resource, SecretView};
use tollgate_core::secret::{Piece, Secret, SecretText};
use tollgate_core::settings::GatewaySettings;
use tollgate_native::SecretSource;

use self::certificates::Checked;
use super::Output;
use crate::at::{AtArgs, NOTHING};
use crate::failure::Failure;
use crate::project::Project;
use crate::terminal;

/// Check the secrets that a project uses.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate secrets audit --at https://api.example.com --token-file token
  tollgate secrets audit --secrets /run/secrets --strict")]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    Audit(AuditArgs),
}

/// List the secrets that a project names, where it uses them, and whether they have no value, one, or two while they are rotated.
///
/// Of certificates that the gateway presents to upstreams it shows when they end; with --at they are not checked, because each
/// platform has them in its own place.
///
/// Values are never shown. The exit code is 1 if a secret has no value, or one that a webhook or `gateway.notify` cannot have, or a
/// certificate cannot be used; with --strict also if a secret has two values.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate secrets audit --at https://api.example.com --token-file token
  tollgate secrets audit --secrets /run/secrets --strict
  TOLLGATE_SECRET_PETS_TOKEN=s3cr3t tollgate secrets audit --project shop")]
struct AuditArgs {
    /// The project folder.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    project: PathBuf,
    /// The folder of files with secrets that `tollgate serve --secrets` reads (default: the environment).
    #[arg(long, value_name = "FOLDER", conflicts_with = "at")]
    secrets: Option<PathBuf>,
    #[command(flatten)]
    at: AtArgs,
    /// Exit with 1 also if a secret has two values: its rotation is not finished.
    #[arg(long)]
    strict: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &SecretsArgs) -> Result<(), Failure> {
    match &args.command {
        SecretsCommand::Audit(args) => audit(args),
    }
}

fn audit(args: &AuditArgs) -> Result<(), Failure> {
    let compiled = Project::at(&args.project).compiled_for_any()?;
    let is_local = args.at.at.is_none();
    let used = uses(compiled.whole(), compiled.settings(), is_local);
    let of_upstreams = compiled.whole().certificates().map(|(upstream, own)| (upstream.name.as_str(), own));
    let certificates = certificates::check(of_upstreams.filter(|_| is_local), &source(args));
    let views = used.keys().map(|name| view(args, name)).collect::<Result<Vec<_>, _>>()?;
    match args.output {
        Output::Json => {
            let all = views.iter().map(|view| {
                let used = &used[&view.name];
                let wrong = used.wrong(view);
                json!({"name": view.name, "values": view.values, "used": used.places, "wrong": wrong})
            });
            terminal::print(&format!(
                "{:#}\n",
                json!({
                    "secrets": all.collect::<Vec<_>>(),
                    "certificates": certificates.iter().map(Checked::to_json).collect::<Vec<_>>(),
                })
            ));
        }
        Output::Text if views.is_empty() => terminal::note("the project names no secrets"),
        Output::Text => {
            terminal::print(&table(&views, &used));
            if !certificates.is_empty() {
                terminal::print(&format!("\n{}", certificates::table(&certificates)));
            }
        }
    }
    let faults: Vec<String> = certificates.iter().filter_map(Checked::fault).collect();
    let count = |wanted: usize| views.iter().filter(|view| view.values == wanted).count();
    if let Some((view, why)) = views.iter().find_map(|view| Some((view, used[&view.name].wrong(view)?))) {
        return Err(Failure::problem(format!("{} {why}: {}", view.name, used[&view.name].effect())));
    }
    match (count(0), count(2)) {
        (0, rotated) if rotated > 0 && args.strict => {
            let have = if rotated == 1 { "secret has" } else { "secrets have" };
            Err(Failure::problem(format!("{rotated} {have} two values: remove the old ones")))
        }
        (0, _) if !faults.is_empty() => Err(Failure::problem(faults.join("\n"))),
        (0, _) => Ok(()),
        (1, _) => Err(Failure::problem("1 secret has no value: requests that need it fail".to_owned())),
        (absent, _) => Err(Failure::problem(format!("{absent} secrets have no value: requests that need them fail"))),
    }
}

fn table(views: &[SecretView], used: &Uses) -> String {
    let mut rows = vec![["SECRET", "VALUES", "USED BY"].map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(|view| {
        let values = match view.values {
            0 => "none",
            1 => "one",
            _ => "two",
        };
        let used = &used[&view.name];
        let values = used.wrong(view).map_or_else(|| values.to_owned(), |why| format!("{values}, which {why}"));
        let places: Vec<&str> = used.places.iter().map(String::as_str).collect();
        vec![view.name.clone(), values, places.join(", ")]
    }));
    terminal::table(&rows)
}

/// Where each secret is used.
type Uses = BTreeMap<String, Used>;

/// Where a secret is used, and what it has to be.
#[derive(Debug, Default)]
struct Used {
    places: BTreeSet<String>,
    /// It verifies or signs messages of Standard Webhooks.
    is_standard_webhook: bool,
    /// It signs notices.
    signs_notices: bool,
    /// It verifies other messages.
    is_webhook: bool,
}

impl Used {
    /// What is wrong with the values of a secret, in words after its name.
    fn wrong(&self, view: &SecretView) -> Option<String> {
        if view.values == 0 {
            return None;
        }
        if self.is_standard_webhook && !view.is_standard_webhook {
            return Some(format!("is not `whsec_` and the base64 of {WEBHOOK_SECRET_BYTES_MIN} bytes or more"));
        }
        (self.is_webhook && view.is_short).then(|| format!("has fewer than {WEBHOOK_SECRET_BYTES_MIN} bytes"))
    }

    /// What its wrong values cause.
    fn effect(&self) -> &'static str {
        if self.signs_notices { "notices are not sent" } else { "messages are refused" }
    }

    /// Notes that a policy verifies messages with it.
    fn verifies(&mut self, sender: &WebhookSender) {
        match sender {
            WebhookSender::StandardWebhooks => self.is_standard_webhook = true,
            WebhookSender::GitHub | WebhookSender::Stripe | WebhookSender::Slack | WebhookSender::Hmac(_) => {
                self.is_webhook = true;
            }
        }
    }
}

fn uses(whole: &Whole, settings: &GatewaySettings, is_local: bool) -> Uses {
    let mut uses = Uses::new();
    for (upstream, own) in whole.certificates().filter(|_| is_local) {
        for name in own.secret_names() {
            uses.entry(name.to_owned()).or_default().places.insert(format!("upstream {} (tls)", upstream.name));
        }
    }
    let mut add = |text: &SecretText, place: String| {
        for name in text.secret_names() {
            uses.entry(name.to_owned()).or_default().places.insert(place.clone());
        }
    };
    for upstream in &whole.upstreams {
        for (field, text) in &upstream.fields {
            add(text, format!("upstream {} ({field})", upstream.name));
        }
        for text in upstream.auth.secrets() {
            add(text, format!("upstream {} (auth)", upstream.name));
        }
    }
    if let Some(signing) = &settings.identity_tokens {
        add(&signing.key, "identity-tokens".to_owned());
    }
    for receiver in &settings.notify {
        add(&receiver.secret, "notify".to_owned());
    }
    for policy in whole.policies.iter() {
        policy.uses.all_secrets().for_each(|text| add(text, format!("policy {}", policy.name)));
    }
    for (field, text) in settings.telemetry.otlp.iter().flat_map(|otlp| &otlp.fields) {
        add(text, format!("telemetry.otlp ({field})"));
    }
    for named in &whole.policies.authn {
        let AuthnPolicy::Webhook(settings) = &named.policy else { continue };
        let names = settings.secrets.iter().filter_map(only_secret);
        names.for_each(|name| uses.entry(name.to_owned()).or_default().verifies(&settings.sender));
    }
    for name in settings.notify.iter().filter_map(|receiver| only_secret(&receiver.secret)) {
        let used = uses.entry(name.to_owned()).or_default();
        (used.is_standard_webhook, used.signs_notices) = (true, true);
    }
    uses
}

/// The secret that a text is. Of a text with more than a reference, the secret is a part.
fn only_secret(text: &SecretText) -> Option<&str> {
    match text.pieces.as_slice() {
        [Piece::Secret(name)] => Some(name),
        _ => None,
    }
}

/// The secrets that a project names and that have no value, or one that cannot be used, each with what is wrong and the places that use
/// it. Certificates of the gateway are secrets on native only.
pub(crate) fn faulty(
    whole: &Whole,
    settings: &GatewaySettings,
    is_native: bool,
    value_of: impl Fn(&str) -> Option<Secret>,
) -> Vec<(String, String, Vec<String>)> {
    let all = uses(whole, settings, is_native).into_iter();
    let faulty = all.filter_map(|(name, used)| {
        let view = SecretView::of(&name, value_of(&name).as_ref());
        let why = match used.wrong(&view) {
            Some(why) => format!("{why}, so {}", used.effect()),
            None if view.values == 0 => "has no value, so requests that need it fail".to_owned(),
            None => return None,
        };
        Some((name, why, used.places.into_iter().collect()))
    });
    faulty.collect()
}

fn view(args: &AuditArgs, name: &str) -> Result<SecretView, Failure> {
    if args.at.at.is_some() {
        return args.at.gateway()?.send(Resource::ShowSecret, name, NOTHING);
    }
    let secret = source(args).read(name).map_err(|error| Failure::problem(format!("{name}: {error}")))?;
    Ok(SecretView::of(name, secret.as_ref()))
}

fn source(args: &AuditArgs) -> SecretSource {
    args.secrets.clone().map_or(SecretSource::Environment, SecretSource::Folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_its_webhook_cannot_have_is_told_without_it() {
        let wrong = |sender: WebhookSender, text: &str| {
            let mut used = Used::default();
            used.verifies(&sender);
            used.wrong(&SecretView::of("HOOK", Some(&Secret::new(text.to_owned()))))
        };
        let standard = |text: &str| wrong(WebhookSender::StandardWebhooks, text);
        assert_eq!(standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None);
        assert_eq!(standard(""), None, "it has none");
        for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nshort"]
        {
            assert!(standard(text).is_some_and(|why| why.contains("`whsec_`") && !why.contains(text)), "{text}");
        }
        assert!(wrong(WebhookSender::GitHub, "too short").is_some_and(|why| why.contains("16 bytes")));
        assert_eq!(wrong(WebhookSender::GitHub, "a secret of GitHub"), None);
        assert_eq!(Used::default().wrong(&SecretView::of("TOKEN", Some(&Secret::new("x".into())))), None);
    }

    #[test]
    fn a_secret_that_cannot_sign_notices_is_told() {
        let text = "format: 1\ngateway:\n  name: g\n  notify: [{url: \"https://ops.example.com/l\", secret: \"${secret.NOTIFY}\"}]\n\
                    upstreams: {u: \"http://u\"}\npolicies: {often: {kind: rate-limit, rate: 9/s, warn: [80%]}}\n\
                    apis: {a: {upstream: u, limit: often, routes: [{path: /a, methods: [GET]}]}}\n";
        let compiled = tollgate_analysis::compile_str("tollgate.yaml", text).unwrap_or_else(|found| panic!("{found}"));
        let told = |secret: &str| {
            let value = |_: &str| Some(Secret::new(secret.to_owned())).filter(|_| !secret.is_empty());
            let mut all = faulty(compiled.whole(), compiled.settings(), true, value);
            all.pop().map(|(name, why, places)| format!("{name} {why}: {}", places.join(", ")))
        };
        assert_eq!(told("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None);
        let wrong = "NOTIFY is not `whsec_` and the base64 of 16 bytes or more, so notices are not sent: notify";
        assert_eq!(told("a secret of sixteen bytes").as_deref(), Some(wrong));
        assert!(told("").is_some_and(|told| told.contains("has no value")));
    }
}
