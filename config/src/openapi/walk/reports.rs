//! Findings about what cannot be routed, and about keys of a path item that are no operations.

use super::parts::is_security;
use super::{METHODS, OPERATIONS_MAX, Path, REPORTED_MAX, Walk};
use crate::diagnostic::{Code, Diagnostic, closest, listed};
use crate::openapi::documents::Site;
use crate::openapi::reference::short;
use crate::openapi::resolver::Dangling;
use crate::place::{Span, Spanned};

impl<'d> Walk<'d, '_> {
    pub(super) fn refuse_path(&mut self, text: &str, span: Span, dangling: &Dangling<'_>) {
        self.add_unknown(text, span);
        let (what, _, fix) = dangling.broken.describe(dangling.text);
        self.imported.refused += 1;
        if self.imported.refused > REPORTED_MAX {
            return;
        }
        self.report.push(
            Diagnostic::warning(Code::NotRouted, span, format!("no operation of `{}` is routed: {what}", short(text)))
                .why("the operations of the path are unknown")
                .fix(fix)
                .related(dangling.span, "the reference"),
        );
    }

    pub(super) fn refuse(&mut self, path: &Path<'_>, method: &str, span: Span, reason: &str, fix: &str) {
        self.imported.refused += 1;
        if self.imported.refused > REPORTED_MAX {
            return;
        }
        let what = format!("`{method} {}` is not routed: {reason}", short(path.text));
        self.report.push(Diagnostic::warning(Code::NotRouted, span, what).why(WHY_NOT_ROUTED).fix(fix));
    }

    /// Reports a key of a path item that is neither a method nor another key that OpenAPI defines.
    ///
    /// What it requires is required of the operations that answer its requests.
    pub(super) fn check_key(&mut self, path: &Path<'d>, key: &Spanned<String>, site: Site<'d>) {
        if key.value.starts_with("x-") || ITEM_KEYS.contains(&key.value.as_str()) {
            return;
        }
        if OPERATION_KEYS.contains(&key.value.as_str()) || is_security(&key.value) {
            return self.report_operation_key(key);
        }
        let method = closest(&key.value.to_ascii_lowercase(), METHODS.iter().map(|(name, _)| *name));
        if let Some((_, method)) = METHODS.iter().find(|(name, _)| method == Some(name)) {
            self.require_of(path, &[*method], key.span, site);
        }
        self.imported.refused += 1;
        if self.imported.refused > REPORTED_MAX {
            return;
        }
        let names = || METHODS.iter().map(|(name, _)| *name).chain(ITEM_KEYS.iter().copied());
        let fix = match closest(&key.value.to_ascii_lowercase(), names()) {
            Some(known) => format!("write `{known}`"),
            None => format!("define a route under `routes:`, or write one of {}", listed(names())),
        };
        self.report_shape(key.span, &format!("`{}` is not a method of OpenAPI", short(&key.value)), &fix);
    }

    /// Reports a key of operations that is written for a whole path.
    fn report_operation_key(&mut self, key: &Spanned<String>) {
        let name = &key.value;
        let written = if is_security(name) { "security" } else { name };
        let why = if is_security(name) {
            "OpenAPI defines it for the document and for operations, so other tools ignore it here; the gateway requires it \
             if it is stricter than that of the document"
        } else {
            "OpenAPI defines it for operations, so it has no effect here"
        };
        self.report.push(
            Diagnostic::warning(Code::SpecShape, key.span, format!("`{name}` is not a key of a path"))
                .why(why)
                .fix(format!("write `{written}` in each operation of the path")),
        );
    }

    pub(super) fn report_shape(&mut self, span: Span, what: &str, fix: &str) {
        self.report
            .push(Diagnostic::warning(Code::SpecShape, span, what).why("no route can be derived from it").fix(fix));
    }

    pub(super) fn report_too_many(&mut self, span: Span) {
        self.report.push(
            Diagnostic::error(
                Code::TooMany,
                span,
                "the specification has too many operations, or references repeat too much",
            )
            .why(format!("the maximum is {OPERATIONS_MAX} operations, and what references repeat is limited too"))
            .fix("split the specification into several, one for each API"),
        );
    }
}

/// The other keys of a path item.
const ITEM_KEYS: &[&str] = &["$ref", "summary", "description", "servers", "parameters"];

/// Keys of operations that are sometimes written in a path item.
const OPERATION_KEYS: &[&str] =
    &["tags", "operationId", "requestBody", "responses", "callbacks", "deprecated", "externalDocs"];

const WHY_NOT_ROUTED: &str =
    "its requests are refused, or answered by another route that matches them; the other operations are routed";
