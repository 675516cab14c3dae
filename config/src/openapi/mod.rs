//! Reads OpenAPI documents (3.0 and 3.1, YAML or JSON): their operations become routes.
//!
//! Only the parts for routing and policies are used: paths, methods, ids, tags, path parameters, `security` and
//! `x-tollgate`, but not `servers`, bodies and responses. The work is bounded for any document: sizes, depths, the
//! number of references and the work for overlays are limited, and circular references are reported.
//! Operations that cannot be routed are warnings with a reason, and the rest is routed.
//!
//! Where to start: [`import_openapi`](crate::import_openapi). `document` parses texts to trees, `overlay` changes the root
//! document, `documents` reads all other files, and `walk` derives the operations.

mod described;
pub(crate) mod document;
mod documents;
mod narrowing;
mod operations;
mod overlap;
mod overlay;
mod path;
mod pattern;
mod reference;
mod resolver;
mod rivals;
mod security;
mod servers;
mod strip;
mod unrouted;
mod walk;

pub(crate) use unrouted::requests;
pub(crate) use walk::{MeantPaths, Settled, Unroutable};

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use described::{Described, Paths};
pub use operations::Operation;
pub use pattern::FixedChars;
pub(crate) use pattern::Pattern;
pub use security::{Scheme, SchemeKind, SchemeRequirement};
pub(crate) use security::{SecurityRequirement, implies};
pub use unrouted::{Answer, Raised};

use self::document::LIMITS;
use self::documents::{Documents, get, text};
use self::unrouted::Unrouted;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::place::{FileId, Files, Span, Spanned};
use crate::source::{Folder, Loader, Node};

/// The parts of a specification that a gateway needs.
#[derive(Clone, Debug)]
pub struct Spec {
    title: Option<String>,
    servers: Vec<String>,
    operations: Vec<Operation>,
    unrouted: Vec<Unrouted>,
    schemes: Vec<Scheme>,
    files: Vec<String>,
    refused: usize,
    with_own_servers: usize,
}

impl Spec {
    /// The title of the specification.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The URLs of the servers that the document declares, as they are written, with the defaults of their variables; they
    /// are not used for routing.
    #[must_use]
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    /// The operations that can be routed, in the order of the document.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The security schemes that the specification defines, by name.
    #[must_use]
    pub fn schemes(&self) -> &[Scheme] {
        &self.schemes
    }

    /// The files of the specification, by their paths in the project folder; the root document is the first.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The number of operations for which the document names other servers than its own.
    #[must_use]
    pub fn with_own_servers(&self) -> usize {
        self.with_own_servers
    }

    /// The number of operations, and of paths that cannot be read, that are not routed.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused
    }
}

/// Reads a specification from one text; `name` is its name in diagnostics.
pub(crate) fn import(name: &str, text: &str, meant: MeantPaths) -> Result<(Spec, Diagnostics), Diagnostics> {
    let (mut loader, mut report) = (Loader::new(Folder::Memory(BTreeMap::new())), Report::default());
    let file = loader.add(name, text);
    let spec = build(file, &[], (meant, &|_| false), &mut loader, &mut report);
    finish(spec, loader, report)
}

/// Reads a specification in a folder.
pub(crate) fn import_dir(folder: &Path, name: &str, meant: MeantPaths) -> Result<(Spec, Diagnostics), Diagnostics> {
    let (mut loader, mut report) = (Loader::new(Folder::Disk(folder.to_owned())), Report::default());
    let spec = match loader.load(name, &LIMITS, &mut report) {
        Some(file) => build(file, &[], (meant, &|_| false), &mut loader, &mut report),
        None => None,
    };
    finish(spec, loader, report)
}

/// Converts a document to JSON without the keys `x-tollgate`, which are only for Tollgate.
///
/// # Errors
/// If the text cannot be parsed.
pub fn published(name: &str, text: &str) -> Result<String, Diagnostics> {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add(name, text);
    let root = document::read(file, name, files.text(file), &LIMITS, &mut { LIMITS.nodes }, &mut report);
    root.map(|mut root| {
        strip::strip(&mut root);
        document::json_text(&root)
    })
    .ok_or_else(|| report.finish(files))
}

fn finish(spec: Option<Spec>, loader: Loader, report: Report) -> Result<(Spec, Diagnostics), Diagnostics> {
    let has_errors = report.has_errors();
    let found = report.finish(loader.into_files());
    match spec {
        Some(spec) if !has_errors => Ok((spec, found)),
        _ => Err(found),
    }
}

/// Reads the specification that a project names, relative to the file that names it; overlays apply in their order.
/// Operations that cannot be routed are not reported if they are settled.
pub(crate) fn load(
    written: &Spanned<String>,
    overlays: &[Spanned<String>],
    known: (MeantPaths, Settled<'_>),
    loader: &mut Loader,
    report: &mut Report,
) -> Option<Spec> {
    let file = loader.load_beside(written, &LIMITS, report)?;
    build(file, overlays, known, loader, report)
}

fn build(
    file: FileId,
    overlays: &[Spanned<String>],
    known: (MeantPaths, Settled<'_>),
    loader: &mut Loader,
    report: &mut Report,
) -> Option<Spec> {
    let mut nodes = LIMITS.nodes;
    let name = loader.files().name(file).to_owned();
    let mut root = document::read(file, &name, loader.files().text(file), &LIMITS, &mut nodes, report)?;
    check_version(&root, report)?;
    let mut work = OVERLAY_STEPS_MAX;
    for named in overlays {
        let Some(file) = loader.load_beside(named, &LIMITS, report) else { continue };
        let files = loader.files();
        let overlay = document::read(file, files.name(file), files.text(file), &LIMITS, &mut nodes, report);
        if let Some(overlay) = overlay {
            overlay::apply(&overlay, &mut root, &mut work, report);
        }
    }
    let (title, servers) = (title(&root), servers::servers(&root, report));
    let documents = Documents::load(&name, root, &mut nodes, loader, report);
    let imported = walk::operations(&documents, known, report);
    if imported.operations.is_empty() && imported.refused == 0 {
        report_no_operations(file, report);
    }
    Some(Spec {
        title,
        servers,
        operations: imported.operations,
        unrouted: imported.unrouted,
        schemes: imported.schemes,
        files: documents.names().map(str::to_owned).collect(),
        refused: imported.refused,
        with_own_servers: imported.with_own_servers,
    })
}

fn check_version(root: &Node, report: &mut Report) -> Option<()> {
    let (span, what, fix) = if let Some(swagger) = get(root, "swagger") {
        (
            swagger.span,
            "the file is a Swagger 2.0 document".to_owned(),
            "convert it to OpenAPI 3, for example with `npx swagger2openapi -o openapi.yaml FILE`",
        )
    } else {
        let Some(version) = get(root, "openapi") else {
            refuse(root.span, "the file is not an OpenAPI document: it has no key `openapi`", WRITE_VERSION, report);
            return None;
        };
        let written = text(version).unwrap_or_default();
        if VERSIONS.iter().any(|known| written == *known || written.starts_with(&format!("{known}."))) {
            return Some(());
        }
        let what = match written {
            "" => "`openapi` is not a version".to_owned(),
            written => format!("OpenAPI version `{}` is not supported", reference::short(written)),
        };
        let fix = if ["", "3"].contains(&written) {
            "write the whole version, such as `openapi: 3.0.3` or `openapi: 3.1.0`"
        } else {
            "convert the document to OpenAPI 3.0 or 3.1, and set `openapi` to that version"
        };
        (version.span, what, fix)
    };
    refuse(span, &what, fix, report);
    None
}

fn refuse(span: Span, what: &str, fix: &str, report: &mut Report) {
    report.push(Diagnostic::error(Code::NoOpenApi, span, what).why("only OpenAPI 3.0 and 3.1 are supported").fix(fix));
}

fn report_no_operations(file: FileId, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoOperations, Span::beginning_of(file), "the specification has no operations")
            .why("requests that match no route are answered with 404, so the specification has no effect")
            .fix("add `paths:` with operations, or remove the specification"),
    );
}

fn title(root: &Node) -> Option<String> {
    get(root, "info").and_then(|info| get(info, "title")).and_then(text).map(str::to_owned)
}

const WRITE_VERSION: &str = "add `openapi: 3.1.0` if it is one, or name another file";

/// The supported versions.
const VERSIONS: &[&str] = &["3.0", "3.1"];

/// The maximum number of nodes that the overlays of one specification may visit or write.
const OVERLAY_STEPS_MAX: usize = 200_000_000;
