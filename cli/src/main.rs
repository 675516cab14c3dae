//! The `tollgate` command: runs a gateway locally, checks and explains its project, publishes it.
//!
//! It makes no decisions about requests (`tollgate-core` does), parses no YAML (`tollgate-config` does) and is not a
//! host (`tollgate-native` is one; the hosts of Cloudflare and Spin are separate processes that it starts for
//! development). It combines these for use at a terminal.
//!
//! Where to start: [`Command`] lists the commands, each of which has a file in `commands/`. Most of them read a
//! [`project::Project`], some write to a [`target::Target`]; `dev/` is the development server.

mod at;
mod commands;
mod dev;
mod failure;
mod policy_test;
mod project;
mod quickstart;
mod redaction;
mod route_table;
mod target;
mod terminal;
mod write;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use commands::{
    bundle, check, completions, cost, diff as diff_command, entitlements, explain, fmt, idp_outage, import, init, key,
    man, metrics, publish, purge, routes, schema, secrets, serve, simulate, test, token, usage,
};
use dev::DevOptions;
use failure::Failure;
use project::Project;
use terminal::TerminalOptions;

/// Takes an eighth less time per exchange than the allocator of the C library.
#[global_allocator]
static ALLOCATOR: tollgate_native::Allocator = tollgate_native::Allocator;

/// Tollgate, an API-management gateway for your own machines, Cloudflare Workers and Spin.
///
/// Without a command, runs the project in the current folder, or the quickstart if there is none, like `tollgate dev`.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: DevOptions,
    #[command(flatten)]
    terminal: TerminalOptions,
}

const AFTER_HELP: &str = "\
Examples:
  tollgate init shop                       create a project in ./shop
  tollgate                                 run the project in this folder, or the quickstart
  tollgate dev shop --port 9000            run the project in ./shop, and follow its edits
  tollgate import openapi openapi.yaml     start a project from an OpenAPI document
  tollgate check shop                      report what is wrong with it
  tollgate explain GET /pets/7 shop        show how a request would be handled
  tollgate diff shop-before shop           show what changes for requests
  tollgate test shop --coverage            run its policy tests
  tollgate publish shop --to native --store shop.db
  tollgate serve --store shop.db --gateway shop

Exit codes: 0 success, 1 a problem was found, 2 the command line is invalid.
The reference is docs/cli.md.";

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    Dev(dev::DevArgs),
    Check(check::CheckArgs),
    Fmt(fmt::FmtArgs),
    Routes(routes::RoutesArgs),
    Explain(explain::ExplainArgs),
    Diff(diff_command::DiffArgs),
    Cost(cost::CostArgs),
    Schema(schema::SchemaArgs),
    Test(test::TestArgs),
    Bundle(bundle::BundleArgs),
    Publish(publish::PublishArgs),
    Import(import::ImportArgs),
    Key(key::KeyArgs),
    Identity(key::identity::IdentityArgs),
    Product(entitlements::product::ProductArgs),
    Plan(entitlements::plan::PlanArgs),
    Subscription(entitlements::subscription::SubscriptionArgs),
    Grant(entitlements::grant::GrantArgs),
    Secrets(secrets::SecretsArgs),
    IdpOutage(idp_outage::OutageArgs),
    Token(token::TokenArgs),
    Purge(purge::PurgeArgs),
    Metrics(metrics::MetricsArgs),
    Usage(usage::UsageArgs),
    Simulate(simulate::SimulateArgs),
    Serve(serve::ServeArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

fn main() -> ExitCode {
    let words = Cli::command().get_matches();
    if is_json(&words) {
        terminal::answer_json();
    }
    let cli = Cli::from_arg_matches(&words).unwrap_or_else(|error| error.exit());
    terminal::set_options(cli.terminal);
    let done = perform(cli).and_then(|()| match terminal::unwritten() {
        None => Ok(()),
        Some(why) => Err(Failure::problem(format!("standard output cannot be written: {why}"))),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Whether the chosen command answers in JSON.
fn is_json(words: &ArgMatches) -> bool {
    let deepest = std::iter::successors(Some(words), |words| words.subcommand().map(|(_, words)| words)).last();
    let form = deepest.and_then(|words| words.try_get_raw("output").ok().flatten());
    form.is_some_and(|mut form| form.any(|form| form == "json"))
}

fn perform(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => dev::run(Project::found(), cli.dev),
        Some(Command::Init(args)) => init::run(&args),
        Some(Command::Dev(args)) => {
            let project = args.project.as_deref().map_or_else(Project::found, Project::at);
            dev::run(project, args.options)
        }
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Fmt(args)) => fmt::run(&args),
        Some(Command::Routes(args)) => routes::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Diff(args)) => diff_command::run(&args),
        Some(Command::Cost(args)) => cost::run(&args),
        Some(Command::Schema(args)) => schema::run(&args),
        Some(Command::Test(args)) => test::run(&args),
        Some(Command::Bundle(args)) => bundle::run(&args),
        Some(Command::Publish(args)) => publish::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Key(args)) => key::run(&args),
        Some(Command::Identity(args)) => key::identity::run(&args),
        Some(Command::Product(args)) => entitlements::product::run(&args),
        Some(Command::Plan(args)) => entitlements::plan::run(&args),
        Some(Command::Subscription(args)) => entitlements::subscription::run(&args),
        Some(Command::Grant(args)) => entitlements::grant::run(&args),
        Some(Command::Secrets(args)) => secrets::run(&args),
        Some(Command::IdpOutage(args)) => idp_outage::run(&args),
        Some(Command::Token(args)) => token::run(&args),
        Some(Command::Purge(args)) => purge::run(&args),
        Some(Command::Metrics(args)) => metrics::run(&args),
        Some(Command::Usage(args)) => usage::run(&args),
        Some(Command::Simulate(args)) => simulate::run(&args),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Completions(args)) => {
            completions::run(&args, Cli::command());
            Ok(())
        }
        Some(Command::Man(args)) => man::run(&args, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    /// Commands without `--output`, each with the reason.
    const WITHOUT_OUTPUT: &[(&str, &str)] = &[
        ("tollgate", "it runs `dev`"),
        ("tollgate dev", "its output is the gateway's log, which is JSON"),
        ("tollgate serve", "its output is the gateway's log, which is JSON"),
        ("tollgate bundle", "its answer is JSON in any case"),
        ("tollgate completions", "its answer is a program for a shell"),
        ("tollgate man", "its answer is a page for man"),
        ("tollgate key", "its commands have it"),
        ("tollgate key password", "its answer is the hash, as it is written in the project"),
        ("tollgate identity", "its commands have it"),
        ("tollgate product", "its commands have it"),
        ("tollgate plan", "its commands have it"),
        ("tollgate subscription", "its commands have it"),
        ("tollgate grant", "its commands have it"),
        ("tollgate secrets", "its commands have it"),
        ("tollgate simulate", "its commands have it"),
        ("tollgate idp-outage", "its commands have it"),
        ("tollgate token", "its commands have it"),
        ("tollgate import", "its commands have it"),
    ];

    /// Every command of the tree, with its full name.
    fn all(command: &Command, name: String, into: &mut Vec<(String, Command)>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
            all(sub, format!("{name} {}", sub.get_name()), into);
        }
        into.push((name, command.clone()));
    }

    fn commands() -> Vec<(String, Command)> {
        let mut command = super::Cli::command();
        command.build();
        let mut commands = Vec::new();
        all(&command, "tollgate".to_owned(), &mut commands);
        commands
    }

    #[test]
    fn the_command_line_definition_is_valid() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_name_it() {
        for (name, mut command) in commands() {
            let help = command.render_long_help().to_string();
            let examples = help.split_once("Examples:").map(|(_, examples)| examples.to_owned());
            assert!(examples.is_some_and(|examples| examples.contains(&name)), "{name}:\n{help}");
        }
    }

    #[test]
    fn every_command_has_json_output_or_a_reason_without_it() {
        for (name, command) in commands() {
            let has_output = command.get_arguments().any(|argument| argument.get_long() == Some("output"));
            let excused = WITHOUT_OUTPUT.iter().any(|(without, reason)| *without == name && !reason.is_empty());
            assert_ne!(has_output, excused, "{name}");
        }
    }

    #[test]
    fn help_fits_a_narrow_terminal() {
        for (name, command) in commands() {
            let help = command.term_width(80).render_long_help().to_string();
            // Examples are lines to copy, which folding would break.
            let text = help.split_once("Examples:").map_or(help.as_str(), |(text, _)| text);
            let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "{name}: {long:#?}");
        }
    }
}
