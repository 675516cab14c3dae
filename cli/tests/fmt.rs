//! `tollgate fmt` on files: what it writes, what it does not change, what it answers.

mod support;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use support::{Project, Ran, quickstart, run, tollgate};

/// A project with one unformatted file, and one file that does not belong to the project.
fn unformatted() -> Project {
    let project = Project::new();
    project.edit("format: 1\n", "format:   1 # the first\n");
    fs::write(project.file("openapi.yaml"), "openapi:   3.1.0\n").expect("a file");
    project
}

fn text(project: &Project, name: &str) -> String {
    fs::read_to_string(project.file(name)).expect("the file")
}

fn names(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.path()).expect("the folder");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_project_is_formatted_in_place_and_nothing_else_is_changed() {
    let project = unformatted();
    let ran = run(&["fmt", &project.path()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out, format!("{}/tollgate.yaml\n", project.path()));
    assert!(ran.err.contains("1 of 2 files formatted"), "{ran:?}");
    assert!(text(&project, "tollgate.yaml").contains("\nformat: 1  # the first\n"));
    assert_eq!(text(&project, "openapi.yaml"), "openapi:   3.1.0\n");
    assert_eq!(names(&project), ["dev", "openapi.yaml", "tollgate.yaml"]);
    let again = run(&["fmt", &project.path()]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""), "{again:?}");
}

#[cfg(unix)]
#[test]
fn permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let project = unformatted();
    let file = project.file("tollgate.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("permissions");
    assert_eq!(run(&["fmt", &project.path()]).code, Some(0));
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_check_changes_nothing_and_reports_by_its_exit_code() {
    let project = unformatted();
    let before = text(&project, "tollgate.yaml");
    let ran = run(&["fmt", "--check", &project.path()]);
    assert_eq!((ran.code, ran.out), (Some(1), format!("{}/tollgate.yaml\n", project.path())));
    let ran = run(&["fmt", "--diff", &project.path()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("\n-format:   1 # the first\n+format: 1  # the first\n"), "{ran:?}");
    let ran = run(&["fmt", "--check", "--output", "json", &project.path()]);
    let status = |name: &str| {
        let files = ran.json()["files"].as_array().cloned().expect("files");
        files.into_iter().find(|f| f["file"].as_str().is_some_and(|file| file.ends_with(name))).expect(name)["status"]
            .clone()
    };
    assert_eq!(
        (ran.code, status("tollgate.yaml"), status("fixtures.yaml")),
        (Some(1), "would-change".into(), "unchanged".into())
    );
    assert_eq!(text(&project, "tollgate.yaml"), before);
    assert_eq!(run(&["fmt", "--check", &quickstart()]).code, Some(0));
}

#[test]
fn a_file_with_a_mistake_is_not_changed_and_the_others_are_formatted() {
    let project = unformatted();
    let broken = "format: 1\nconsumers: [\n";
    fs::write(project.file("dev/fixtures.yaml"), broken).expect("a file");
    let ran = run(&["fmt", &project.path()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("TG0102") && ran.err.contains("1 not changed"), "{ran:?}");
    assert_eq!(text(&project, "dev/fixtures.yaml"), broken);
    assert!(text(&project, "tollgate.yaml").contains("\nformat: 1  # the first\n"));
    let json = run(&["fmt", "--output", "json", &project.path()]).json();
    assert_eq!(json["diagnostics"][0]["code"], "TG0102", "{json}");
}

#[test]
fn a_file_may_be_named_alone_and_only_a_projects_file_is_formatted() {
    let project = unformatted();
    let ran = run(&["fmt", &project.file("openapi.yaml").display().to_string()]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert!(ran.err.contains("left unchanged"), "{ran:?}");
    assert_eq!(text(&project, "openapi.yaml"), "openapi:   3.1.0\n");
    let ran = run(&["fmt", &project.file("tollgate.yaml").display().to_string()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(text(&project, "tollgate.yaml").contains("\nformat: 1  # the first\n"));
    // As from within the folder.
    let here = Ran::of(
        tollgate(&["fmt", "--check", "dev/fixtures.yaml"]).current_dir(project.path()).output().expect("it runs"),
    );
    assert_eq!(here.code, Some(0), "{here:?}");
    assert!(here.err.contains("0 of 1 files"), "{here:?}");
}

#[test]
fn a_folder_without_a_project_is_refused_with_a_solution() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = run(&["fmt", &folder.path().display().to_string()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("tollgate init"), "{ran:?}");
}

#[track_caller]
fn stdin(words: &[&str], given: &str) -> Ran {
    let mut command = tollgate(words);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // A command that refuses its options ends without reading.
    let _ = child.stdin.take().expect("a pipe").write_all(given.as_bytes());
    Ran::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn standard_input_is_formatted_as_the_given_file() {
    let given = "consumers: [ {plan: free, id: a} ]\nformat: 1\n";
    let ran = stdin(&["fmt", "--stdin", "dev/fixtures.yaml"], given);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "format: 1\nconsumers: [{id: a, plan: free}]\n"), "{ran:?}");
    let ran = stdin(&["fmt", "--stdin"], "a: [\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(stdin(&["fmt", "--stdin", "--check"], given).code, Some(2));
    assert_eq!(stdin(&["fmt", "--stdin", "a.yaml", "b.yaml"], given).code, Some(2));
}
