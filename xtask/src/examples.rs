//! The suite `examples`: checks every example project and runs its policy tests, with the `tollgate` program.

use std::path::PathBuf;
use std::process::Command;

use crate::place::Place;
use crate::run;

/// Checks and tests each project; a check counts as one test.
pub(crate) fn test(place: &Place) -> Result<(u64, u64), String> {
    run::announced("build: tollgate", run::cargo(place).args(["build", "--locked", "--package", "tollgate"]))?;
    let projects = projects(place)?;
    let mut sum = (0, 0);
    for project in &projects {
        let (passed, failed) = project_of(place, project)?;
        sum = (sum.0 + passed, sum.1 + failed);
    }
    Ok(sum)
}

fn project_of(place: &Place, project: &str) -> Result<(u64, u64), String> {
    println!("==> {project}");
    let program = || {
        let mut program = Command::new(place.debug_binary("tollgate"));
        program.current_dir(&place.root);
        program
    };
    let (is_valid, _) = run::watched(program().args(["check", "--deny", "warnings", project]))?;
    let checked = (u64::from(is_valid), u64::from(!is_valid));
    if !place.root.join(project).join("tests").is_dir() {
        return Ok(checked);
    }
    let (success, said) = run::watched(program().args(["test", project]))?;
    let Some((passed, failed)) = said.lines().rev().find_map(counts) else {
        return Err(format!("the tests of {project} were not run: see above"));
    };
    // A file that could not be read fails the run without failing a test.
    let unread = u64::from(!success && failed == 0);
    Ok((checked.0 + passed, checked.1 + failed + unread))
}

/// The projects, by their folders within the clone, in order.
fn projects(place: &Place) -> Result<Vec<String>, String> {
    let folder = place.root.join("examples");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let is_project = |path: &PathBuf| path.join("tollgate.yaml").exists() || path.join("tollgate.json").exists();
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(is_project);
    let mut names: Vec<String> =
        paths.filter_map(|path| path.file_name()?.to_str().map(|name| format!("examples/{name}"))).collect();
    names.sort();
    if names.is_empty() { Err("there are no examples".to_owned()) } else { Ok(names) }
}

/// The numbers of a line such as `7 passed, 0 failed; 57 requests in 30.28 ms`.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (passed, rest) = line.trim().split_once(" passed, ")?;
    let (failed, rest) = rest.split_once(" failed")?;
    rest.contains(" requests in ").then_some(())?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_the_policy_tests_is_read() {
        for (line, expected) in [
            ("7 passed, 0 failed; 57 requests in 30.28 ms", Some((7, 0))),
            ("1 passed, 2 failed, 1 file not run; 3 requests in 1.00 s", Some((1, 2))),
            ("FAILED tests/a.test.yaml:1:1: 7 passed, 0 failed", None),
            ("branches  24 of 24, 100.0 %", None),
        ] {
            assert_eq!(counts(line), expected, "{line}");
        }
    }
}
