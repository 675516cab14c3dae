//! Findings as SARIF have the properties that code hosts and editors read.

use serde_json::{Value, json};
use tollgate_analysis::compile_str;
use tollgate_config::{Diagnostics, fixtures, sarif};

/// The part of the schema of SARIF 2.1.0 for the properties in use: their types, and which are required.
fn shape() -> Value {
    let message = json!({"type": "object", "required": ["text"], "additionalProperties": false,
        "properties": {"text": {"type": "string", "minLength": 1}, "markdown": {"type": "string"}}});
    let number = json!({"type": "integer", "minimum": 1});
    json!({
        "type": "object", "required": ["version", "runs"], "additionalProperties": false,
        "properties": {
            "$schema": {"type": "string", "format": "uri"},
            "version": {"const": "2.1.0"},
            "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}},
        },
        "$defs": {
            "message": message,
            "run": {"type": "object", "required": ["tool"], "additionalProperties": false, "properties": {
                "tool": {"type": "object", "required": ["driver"], "additionalProperties": false,
                    "properties": {"driver": {"$ref": "#/$defs/driver"}}},
                "invocations": {"type": "array", "items": {"type": "object", "required": ["executionSuccessful"],
                    "properties": {"executionSuccessful": {"type": "boolean"}, "properties": {"type": "object"}}}},
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            }},
            "driver": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
                "name": {"type": "string"}, "semanticVersion": {"type": "string"},
                "rules": {"type": "array", "uniqueItems": true, "items": {"$ref": "#/$defs/rule"}},
            }},
            "rule": {"type": "object", "required": ["id"], "additionalProperties": false, "properties": {
                "id": {"type": "string"}, "name": {"type": "string", "pattern": "^[A-Za-z0-9]+$"},
                "shortDescription": {"$ref": "#/$defs/message"}, "fullDescription": {"$ref": "#/$defs/message"},
                "help": {"$ref": "#/$defs/message"}, "helpUri": {"type": "string", "pattern": "^[a-z]+:"},
            }},
            "result": {"type": "object", "required": ["message"], "additionalProperties": false, "properties": {
                "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/message"},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
                "relatedLocations": {"type": "array", "uniqueItems": true, "items": {"$ref": "#/$defs/location"}},
                "properties": {"type": "object"},
            }},
            "location": {"type": "object", "additionalProperties": false, "properties": {
                "id": {"type": "integer", "minimum": 0}, "message": {"$ref": "#/$defs/message"},
                "physicalLocation": {"type": "object", "additionalProperties": false, "properties": {
                    "artifactLocation": {"type": "object", "additionalProperties": false, "properties": {
                        "uri": {"type": "string", "pattern": "^[A-Za-z0-9._~/!$&'()*+,;=@%:-]+$"},
                        "uriBaseId": {"type": "string"}}},
                    "region": {"type": "object", "additionalProperties": false, "properties": {
                        "startLine": number, "startColumn": number, "endLine": number, "endColumn": number}},
                }},
            }},
        },
    })
}

fn findings(text: &str) -> Diagnostics {
    compile_str("tollgate.yaml", text).map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

#[track_caller]
fn results(log: &Value) -> &Vec<Value> {
    let validator = jsonschema::validator_for(&shape()).expect("the shape is a schema");
    let errors: Vec<_> = validator.iter_errors(log).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{log:#}");
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("a list of results");
    for result in results {
        let rules = run["tool"]["driver"]["rules"].as_array().expect("a list of rules");
        let place = result["ruleIndex"].as_u64().and_then(|place| usize::try_from(place).ok());
        assert_eq!(place.and_then(|place| rules.get(place)).map(|rule| &rule["id"]), Some(&result["ruleId"]));
    }
    results
}

#[test]
fn a_finding_has_its_rule_and_its_positions() {
    let log = findings("format: 1\ngateway: {name: a}\na: 1\na: 2\n").to_sarif();
    let duplicate = results(&log).iter().find(|result| result["ruleId"] == "TG0103").unwrap();
    assert_eq!(duplicate["level"], "error");
    assert_eq!(
        duplicate["locations"][0]["physicalLocation"],
        json!({
            "artifactLocation": {"uri": "tollgate.yaml", "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 4, "startColumn": 1, "endLine": 4, "endColumn": 2},
        })
    );
    assert_eq!(duplicate["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 3);
    let text = duplicate["message"]["text"].as_str().unwrap();
    assert!(["duplicate key", "Why: ", "Fix: "].iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_warning_has_the_level_warning_and_no_findings_give_no_results() {
    let text = "format: 1\ngateway: {name: a}\n";
    let log = findings(text).to_sarif();
    assert_eq!(results(&log)[0]["level"], "warning");
    assert_eq!(log["runs"][0]["invocations"][0]["properties"]["sound"], true);
    assert!(results(&sarif([], "shop")).is_empty());
}

#[test]
fn findings_of_several_readers_are_one_log_with_each_rule_once() {
    let project = findings("format: 1\ngateway: {name: a}\na: 1\nb: 1\n");
    let consumers = fixtures::load_str("dev/fixtures.yaml", "format: 1\nconsumers: []\nc: 1\n").unwrap_err();
    let log = sarif([&project, &consumers], "my shop");
    let unknown: Vec<_> = results(&log).iter().filter(|result| result["ruleId"] == "TG0201").collect();
    assert_eq!(unknown.len(), 3);
    assert_eq!(
        unknown[2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "my%20shop/dev/fixtures.yaml"
    );
}

#[test]
fn file_uris_are_relative_to_the_same_root_as_the_folder() {
    let found = findings("format: 1\n");
    let file = |folder: &str| {
        let log = sarif([&found], folder);
        results(&log)[0]["locations"][0]["physicalLocation"]["artifactLocation"].clone()
    };
    for (folder, uri) in [("", "tollgate.yaml"), (".", "tollgate.yaml"), ("./a/", "a/tollgate.yaml")] {
        assert_eq!(file(folder), json!({"uri": uri, "uriBaseId": "%SRCROOT%"}), "{folder}");
    }
    for (folder, uri) in [("/a b", "file:///a%20b/tollgate.yaml"), (r"C:\a", "file:///C%3A/a/tollgate.yaml")] {
        assert_eq!(file(folder), json!({ "uri": uri }), "{folder}");
    }
}
