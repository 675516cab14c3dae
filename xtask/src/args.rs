//! The command line: which task, for which hosts.

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask <task>

  setup                      install what the other tasks need (wasm targets, wasm tools, npm packages)
  build [native|cloudflare|spin]...
                             build the artifacts of these hosts (default: all)
  test [--host HOST]... [--only SUITE]... [E2E FILTER]
                             run all tests, or only these suites, only on these hosts
                             suites: unit, wasm, conformance, simulation, examples, decisions, e2e
  layers                     check which crate may depend on which, and what core must not use
  kinds                      check that every policy kind has its modules, page, example, policy test and scenario
  fmt                        format all code, the modules of policy kinds too, which `cargo fmt` does not see
  lint                       formatting, clippy and docs with warnings denied, cargo-deny
  bench [workerd|native|limits|spin|hosts|tokens|redis|routes|keys|counters|sizes|loading|serving]... [--against REV]
                             measure, and print a table of ratios to a reference, or to another commit
  sizes [spin]               print what the Worker's code belongs to; fails if the Worker is larger than the shares of its features
                             spin: also what signatures take in the component, which has them in software
  ci                         lint, layers, kinds, test, sizes: what .ci/run does
  help                       print this

Environment: TOLLGATE_CACHE (tools shared by clones; ~/.cache/tollgate), CARGO_TARGET_DIR.";

/// A platform Tollgate runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Native,
    Cloudflare,
    Spin,
}

impl Host {
    pub(crate) const ALL: [Self; 3] = [Self::Native, Self::Cloudflare, Self::Spin];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Cloudflare => "cloudflare",
            Self::Spin => "spin",
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|host| host.name() == word)
            .ok_or_else(|| format!("`{word}` is not a host; the hosts are native, cloudflare, spin"))
    }
}

/// A group of tests that can be selected by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    Unit,
    Wasm,
    Conformance,
    Simulation,
    Examples,
    Decisions,
    E2e,
}

impl Suite {
    pub(crate) const ALL: [Self; 7] =
        [Self::Unit, Self::Wasm, Self::Conformance, Self::Simulation, Self::Examples, Self::Decisions, Self::E2e];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Wasm => "wasm",
            Self::Conformance => "conformance",
            Self::Simulation => "simulation",
            Self::Examples => "examples",
            Self::Decisions => "decisions",
            Self::E2e => "e2e",
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|suite| suite.name() == word).ok_or_else(|| {
            format!(
                "`{word}` is not a suite; the suites are unit, wasm, conformance, simulation, examples, decisions, e2e"
            )
        })
    }
}

/// The selected part of the tests; empty lists select all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    hosts: Vec<Host>,
    suites: Vec<Suite>,
    /// Words that a scenario's name must contain.
    pub(crate) filter: Vec<String>,
}

impl Selection {
    pub(crate) fn hosts(&self) -> &[Host] {
        if self.hosts.is_empty() { &Host::ALL } else { &self.hosts }
    }

    /// Whether a suite runs: the named ones; otherwise, if a filter is given, only e2e; otherwise all.
    pub(crate) fn wants(&self, suite: Suite) -> bool {
        if !self.suites.is_empty() {
            return self.suites.contains(&suite);
        }
        self.filter.is_empty() || suite == Suite::E2e
    }
}

/// One task with its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Setup,
    Build(Vec<Host>),
    Test(Selection),
    Layers,
    Kinds,
    Fmt,
    Lint,
    Sizes {
        /// Also those of the component.
        of_component: bool,
    },
    Bench(Vec<String>),
    Ci,
}

impl Task {
    /// Parses the arguments of `cargo xtask`; the error names the invalid one.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words;
        let Some(task) = words.next() else {
            return Ok(Self::Help);
        };
        let rest: Vec<String> = words.collect();
        match task.as_str() {
            "build" => Ok(Self::Build(hosts_or_all(&rest)?)),
            "test" => Ok(Self::Test(selection(&rest)?)),
            "bench" if rest.iter().any(|word| word == "--help" || word == "-h") => Ok(Self::Help),
            "bench" => benchmarks(rest).map(Self::Bench),
            "help" | "--help" | "-h" => Ok(Self::Help),
            "setup" => alone(&task, &rest, Self::Setup),
            "layers" => alone(&task, &rest, Self::Layers),
            "kinds" => alone(&task, &rest, Self::Kinds),
            "sizes" if rest == ["spin"] => Ok(Self::Sizes { of_component: true }),
            "sizes" => alone(&task, &rest, Self::Sizes { of_component: false }),
            "fmt" => alone(&task, &rest, Self::Fmt),
            "lint" => alone(&task, &rest, Self::Lint),
            "ci" => alone(&task, &rest, Self::Ci),
            other => Err(format!("there is no task `{other}`")),
        }
    }
}

fn alone(name: &str, rest: &[String], task: Task) -> Result<Task, String> {
    match rest.first() {
        None => Ok(task),
        Some(word) => Err(format!("`{name}` takes no argument, got `{word}`")),
    }
}

/// The words of a comparison, checked before anything is built.
fn benchmarks(words: Vec<String>) -> Result<Vec<String>, String> {
    let mut names = words.iter();
    while let Some(name) = names.next() {
        match name.as_str() {
            "--against" => drop(value(name, names.next())?),
            name if BENCHMARKS.contains(&name) => {}
            other => return Err(format!("there is no benchmark `{other}`; there are {}", BENCHMARKS.join(", "))),
        }
    }
    Ok(words)
}

/// The benchmarks of `bench/src/main.rs`.
const BENCHMARKS: [&str; 13] = [
    "workerd", "native", "limits", "spin", "hosts", "tokens", "redis", "routes", "keys", "counters", "sizes",
    "loading", "serving",
];

fn hosts_or_all(words: &[String]) -> Result<Vec<Host>, String> {
    if words.is_empty() {
        return Ok(Host::ALL.to_vec());
    }
    words.iter().map(|word| Host::parse(word)).collect()
}

fn selection(words: &[String]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--host" => selection.hosts.push(Host::parse(value(word, words.next())?)?),
            "--only" => selection.suites.push(Suite::parse(value(word, words.next())?)?),
            flag if flag.starts_with('-') => return Err(format!("`test` has no option `{flag}`")),
            filter => selection.filter.push(filter.to_owned()),
        }
    }
    Ok(selection)
}

fn value<'a>(option: &str, word: Option<&'a String>) -> Result<&'a str, String> {
    word.map(String::as_str).ok_or_else(|| format!("`{option}` needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, String> {
        Task::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn everything_is_tested_everywhere_unless_narrowed() {
        let Ok(Task::Test(selection)) = parse("test") else {
            panic!("a test task");
        };
        assert_eq!(selection.hosts(), Host::ALL);
        assert!(Suite::ALL.iter().all(|suite| selection.wants(*suite)));
    }

    #[test]
    fn a_filter_alone_means_e2e() {
        let Ok(Task::Test(selection)) = parse("test --host spin cache") else {
            panic!("a test task");
        };
        assert_eq!(selection.hosts(), [Host::Spin]);
        assert_eq!(selection.filter, ["cache"]);
        assert!(selection.wants(Suite::E2e) && !selection.wants(Suite::Unit));
    }

    #[test]
    fn a_benchmark_is_known_before_anything_is_built() {
        assert_eq!(parse("bench --help"), Ok(Task::Help));
        assert!(matches!(parse("bench sizes --against HEAD~1"), Ok(Task::Bench(words)) if words.len() == 3));
        assert!(parse("bench size").is_err_and(|why| why.contains("`size`") && why.contains("sizes")));
        assert!(parse("bench --against").is_err());
    }

    #[test]
    fn every_list_of_benchmarks_has_the_same_names() {
        let programs = include_str!("../../bench/src/main.rs");
        let mut measured: Vec<&str> =
            programs.split("Bench { name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut known = BENCHMARKS;
        measured.sort_unstable();
        known.sort_unstable();
        assert_eq!(measured, known, "BENCHES of bench/src/main.rs");
        let usage = format!("bench [{}]... [--against REV]", BENCHMARKS.join("|"));
        let manual = include_str!("../../bench/README.md");
        for (place, text) in [("HELP", HELP), ("bench/src/main.rs", programs), ("bench/README.md", manual)] {
            assert!(text.contains(&usage), "{place} does not say `{usage}`");
        }
    }

    #[test]
    fn a_wrong_word_is_named() {
        for (line, word) in [
            ("fly", "`fly`"),
            ("build worker", "`worker`"),
            ("test --only smoke", "`smoke`"),
            ("test --host", "`--host`"),
            ("layers now", "`now`"),
        ] {
            let complaint = parse(line).expect_err(line);
            assert!(complaint.contains(word), "{line}: {complaint}");
        }
    }
}
