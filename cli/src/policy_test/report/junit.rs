//! The report as JUnit XML, limited to what CI systems have in common: suites, cases, failures, errors, times.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::text::{diagnostics, failure_text};
use crate::policy_test::outcome::{FileRun, Runs, TestRun};

/// One test suite for each file.
pub(super) fn junit(runs: &Runs) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory does not fail.
    let _ = document(&mut writer, runs);
    let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
    text.push('\n');
    text
}

type Xml = Writer<Vec<u8>>;

fn document(xml: &mut Xml, runs: &Runs) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let tests = runs.tests().count() + runs.refused();
    let attributes = [
        ("name", "tollgate".to_owned()),
        ("tests", tests.to_string()),
        ("failures", runs.failed().to_string()),
        ("errors", runs.refused().to_string()),
        ("time", seconds(runs.took)),
    ];
    element(xml, "testsuites", &attributes, |xml| runs.files.iter().try_for_each(|file| suite(xml, file)))
}

fn suite(xml: &mut Xml, file: &FileRun) -> io::Result<()> {
    let errors = usize::from(file.is_refused());
    let failures = file.tests.iter().filter(|test| test.failure.is_some()).count();
    let attributes = [
        ("name", file.name.clone()),
        ("tests", (file.tests.len() + errors).to_string()),
        ("failures", failures.to_string()),
        ("errors", errors.to_string()),
        ("time", seconds(file.tests.iter().map(|test| test.took).sum())),
    ];
    element(xml, "testsuite", &attributes, |xml| {
        if file.is_refused() {
            refused(xml, file)?;
        }
        file.tests.iter().try_for_each(|test| case(xml, file, test))
    })
}

/// A file with mistakes is reported as a test that could not be run.
fn refused(xml: &mut Xml, file: &FileRun) -> io::Result<()> {
    let name = [("classname", file.name.clone()), ("name", "the file can be read".to_owned())];
    let first = file.found.iter().next().map_or_else(String::new, |found| found.what.clone());
    let error = [("message", first), ("type", "mistake".to_owned())];
    element(xml, "testcase", &name, |xml| {
        element(xml, "error", &error, |xml| content(xml, &diagnostics(&file.found, false)))
    })
}

fn case(xml: &mut Xml, file: &FileRun, test: &TestRun) -> io::Result<()> {
    let attributes = [
        ("classname", file.name.clone()),
        ("name", test.name.clone()),
        ("file", file.name.clone()),
        ("line", test.at.start.line.to_string()),
        ("time", seconds(test.took)),
    ];
    let Some(failure) = &test.failure else { return element(xml, "testcase", &attributes, |_| Ok(())) };
    let first = failure.mismatches.first();
    let message = first.map_or_else(
        || failure.what.clone(),
        |mismatch| format!("{}: expected {}, got {}", mismatch.what, mismatch.expected, mismatch.got),
    );
    element(xml, "testcase", &attributes, |xml| {
        element(xml, "failure", &[("message", message), ("type", "expectation".to_owned())], |xml| {
            content(xml, &failure_text(file, test, failure, false))
        })
    })
}

fn element(
    xml: &mut Xml,
    name: &str,
    attributes: &[(&str, String)],
    inside: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    let attributes = attributes.iter().map(|(name, value)| (*name, allowed(value).replace(['\n', '\t'], " ")));
    let attributes: Vec<(&str, String)> = attributes.collect();
    xml.create_element(name)
        .with_attributes(attributes.iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(inside)?;
    Ok(())
}

fn content(xml: &mut Xml, text: &str) -> io::Result<()> {
    xml.write_event(Event::Text(BytesText::new(&allowed(text))))
}

/// The text without characters that XML 1.0 does not allow, escaped or not (section 2.2).
fn allowed(text: &str) -> String {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{fffd}' }).collect()
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}
