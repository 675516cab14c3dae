//! `tollgate init`: creates a project that passes its own checks.

mod ask;
mod files;
mod place;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use tollgate_analysis::compile_files;
use tollgate_kv_schemas::keys;

use super::Output;
use crate::failure::Failure;
use crate::project::{has_project, report_diagnostics};
use crate::terminal;

/// Create a project: the gateway, a key for local use, a policy test, editor settings, a workflow for CI.
///
/// Asks a few questions on a terminal. Existing files are not overwritten, and if a file cannot be created, none is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate init                              ask, and create a project in this folder
  tollgate init shop --yes                   create ./shop without questions
  tollgate init shop --yes --upstream https://shop.internal:8443 --host api.example.com --target workers-free

For a project that begins with an OpenAPI file: tollgate import openapi --help")]
pub(crate) struct InitArgs {
    /// The folder; it is created if it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Ask nothing, and use the defaults.
    #[arg(long, short)]
    yes: bool,
    /// The gateway's name (default: that of the folder)
    #[arg(long)]
    name: Option<String>,
    /// The URL of the server to call (default: the echo server of `tollgate dev`)
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// A host that the gateway answers on; repeatable (default: all hosts)
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// A platform whose limits the project must respect; repeatable.
    #[arg(long = "target", value_enum, value_name = "PLATFORM")]
    targets: Vec<Platform>,
    /// The output format: the created files and the next steps, or a JSON object.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A platform, as `gateway.target` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Platform {
    WorkersFree,
    WorkersPaid,
    Spin,
    Native,
}

/// The choices for a new project.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wishes {
    name: String,
    upstream: String,
    hosts: Vec<String>,
    targets: Vec<String>,
}

pub(crate) fn run(args: &InitArgs) -> Result<(), Failure> {
    let folder = &args.folder;
    if has_project(folder) {
        return Err(Failure::problem(format!(
            "{} contains a project already: `tollgate check` checks it; choose another folder for a new one",
            folder.display()
        )));
    }
    let wishes = wishes(args)?;
    let key = files::fresh_key()?;
    let made = files::of(&wishes, &key).map_err(|found| {
        report_diagnostics(&found);
        Failure::problem("the requested project would have mistakes, so nothing was created")
    })?;
    if let Err(found) = compile_files(&made.project_texts()) {
        report_diagnostics(&found);
        return Err(Failure::problem("the requested project would have mistakes, so nothing was created"));
    }
    let kept = place::put(folder, &made.files)?;
    report(args, &made, &kept);
    Ok(())
}

/// The choices of the command line, the answers of the person, and defaults for the rest.
fn wishes(args: &InitArgs) -> Result<Wishes, Failure> {
    if let Some(name) = args.name.as_ref().filter(|name| !keys::is_gateway_name(name)) {
        return Err(Failure::usage(format!("--name {name}: {NAME_RULE}")));
    }
    let target = |target: &Platform| target.to_possible_value().map(|value| value.get_name().to_owned());
    let wishes = Wishes {
        name: args.name.clone().unwrap_or_else(|| name_of(&args.folder)),
        upstream: args.upstream.clone().unwrap_or_else(|| ECHO.to_owned()),
        hosts: args.hosts.clone(),
        targets: args.targets.iter().filter_map(target).collect(),
    };
    if args.yes {
        return Ok(wishes);
    }
    if !ask::can() {
        return Err(Failure::usage(
            "standard input is not a terminal, so no questions can be asked: `--yes` uses the defaults",
        ));
    }
    ask::about(args, wishes)
}

/// A gateway's name, derived from the name of its folder.
fn name_of(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_default();
    let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    let plain: String = plain.trim_start_matches(|c: char| !c.is_ascii_lowercase()).chars().take(NAME_MAX).collect();
    let plain = plain.trim_end_matches('-');
    if keys::is_gateway_name(plain) { plain.to_owned() } else { "gateway".to_owned() }
}

fn report(args: &InitArgs, made: &files::Made, kept: &[&str]) {
    let names: Vec<&str> =
        made.files.iter().map(|file| file.name.as_str()).filter(|name| !kept.contains(name)).collect();
    if args.output == Output::Json {
        let answer = json!({"folder": args.folder.display().to_string(), "made": names, "kept": kept});
        terminal::print(&format!("{answer:#}\n"));
        return;
    }
    let mut out = String::new();
    for name in &names {
        out.push_str(&args.folder.join(name).display().to_string());
        out.push('\n');
    }
    terminal::print(&out);
    for name in kept {
        terminal::message(&format!("{} exists and is not changed", args.folder.join(name).display()));
    }
    let here = args.folder == Path::new(".");
    let shown = if here { String::new() } else { format!(" {}", args.folder.display()) };
    terminal::message(&NEXT.replace(" DIR", &shown));
}

/// The next steps for a team with a new gateway.
const NEXT: &str = "
Next
  1. Run it:                tollgate dev DIR       and run one of the commands that it shows
  2. Try the policies:      tollgate test DIR      then change tests/first.test.yaml to your requirements
  3. Keep it in Git; .github/workflows/tollgate.yaml checks every change (set there where to install tollgate from)
  4. List your services: an API for each one in tollgate.yaml or apis/NAME/api.yaml; tollgate routes DIR shows their routes
  5. If you have OpenAPI files, take the routes from them: `spec:` in an API, or tollgate import openapi
  6. Export telemetry: telemetry.otlp in tollgate.yaml
  7. Publish: tollgate publish --help
";

/// The echo server that `tollgate dev` starts.
const ECHO: &str = "http://127.0.0.1:8082";

/// The maximum length of a gateway's name.
const NAME_MAX: usize = 40;

/// The rule for a gateway's name.
const NAME_RULE: &str =
    "a gateway's name has lower-case letters, digits and hyphens, at most 40, and begins with a letter";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_named_after_its_folder() {
        for (folder, name) in [
            ("/a/shop", "shop"),
            ("/a/My Shop_2", "my-shop-2"),
            ("/a/2-shop-", "shop"),
            ("/", "gateway"),
            ("/a/...", "gateway"),
            ("/a/日本", "gateway"),
            ("/a/x/abcdefghijabcdefghijabcdefghijabcdefghi-jabc", "abcdefghijabcdefghijabcdefghijabcdefghi"),
        ] {
            assert_eq!(name_of(Path::new(folder)), name, "{folder}");
        }
    }
}
