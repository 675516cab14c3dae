//! Finds the imports of a crate: every path that begins with `crate` or `super`, in `use` or in other code.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Code, Token};

/// A file of a crate.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path below `src`, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One unit's use of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The file that uses it.
    pub(crate) file: String,
    /// The path up to the unit, such as `crate::source`.
    pub(crate) path: String,
}

impl Arrow {
    /// Whether it is between these two units, in either direction.
    pub(crate) fn is_between(&self, a: &str, b: &str) -> bool {
        [(a, b), (b, a)].contains(&(&self.from, &self.to))
    }
}

/// The units of a crate, and their uses of each other.
pub(crate) fn arrows(files: &[SourceFile]) -> (BTreeSet<String>, Vec<Arrow>) {
    let read: Vec<Read<'_>> = files.iter().map(Read::of).collect();
    let for_tests: BTreeSet<Vec<String>> = read.iter().flat_map(|file| file.test_modules.iter().cloned()).collect();
    let counted = |file: &&Read<'_>| {
        let module = &file.module;
        !module.is_empty() && (1..=module.len()).all(|length| !for_tests.contains(&module[..length]))
    };
    let units: BTreeSet<String> = read.iter().filter(counted).map(|file| file.module[0].clone()).collect();
    let exported: BTreeMap<String, String> = read.iter().flat_map(|file| file.exported.iter().cloned()).collect();
    let mut found = BTreeSet::new();
    for file in read.iter().filter(counted) {
        for (path, first) in &file.paths {
            let unit = if units.contains(first) { Some(first) } else { exported.get(first) };
            let Some(unit) = unit.filter(|unit| **unit != file.module[0] && units.contains(*unit)) else { continue };
            let (from, to) = (file.module[0].clone(), unit.clone());
            found.insert(Arrow { from, to, file: file.path.to_owned(), path: path.clone() });
        }
    }
    (units, found.into_iter().collect())
}

/// The data read from one file.
struct Read<'f> {
    path: &'f str,
    /// Its module; empty for the root of the crate.
    module: Vec<String>,
    /// Paths from the root of the crate, as written, with their first name below it.
    paths: Vec<(String, String)>,
    /// Modules that exist only for tests.
    test_modules: Vec<Vec<String>>,
    /// In the root of the crate: names that it re-exports from a unit.
    exported: Vec<(String, String)>,
}

impl<'f> Read<'f> {
    fn of(file: &'f SourceFile) -> Self {
        let code = Code::of(&file.text);
        let module = module_of(&file.path);
        let mut read =
            Self { path: &file.path, module, paths: Vec::new(), test_modules: Vec::new(), exported: Vec::new() };
        read.walk(&code.tokens());
        read
    }

    fn walk(&mut self, tokens: &[Token<'_>]) {
        // The open inline modules, each with the number of open braces at its beginning.
        let mut inline: Vec<(String, usize)> = Vec::new();
        let (mut depth, mut at) = (0, 0);
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at..];
            let mut step = 1;
            match rest {
                _ if for_tests(rest) => {
                    let item = behind_attributes(rest);
                    if let [Token::Word("mod"), Token::Word(name), Token::Mark(';'), ..] = rest[item..] {
                        let outer = inline.iter().map(|(name, _)| name);
                        let path = self.module.iter().chain(outer).cloned().chain([name.to_owned()]);
                        self.test_modules.push(path.collect());
                    }
                    step = item + item_length(&rest[item..]);
                }
                [Token::Word("mod"), Token::Word(name), Token::Mark('{'), ..] => {
                    inline.push(((*name).to_owned(), depth));
                    depth += 1;
                    step = 3;
                }
                [Token::Word("use"), ..] if self.module.is_empty() => {
                    let leaves = leaves(&rest[1..]);
                    let passed =
                        leaves.into_iter().filter_map(|leaf| Some((leaf.last()?.clone(), leaf.first()?.clone())));
                    self.exported.extend(passed);
                }
                [Token::Word("crate"), Token::Mark(':'), Token::Mark(':'), ..] => {
                    self.add("crate::", &rest[3..]);
                    step = 3;
                }
                [Token::Word("super"), Token::Mark(':'), Token::Mark(':'), ..] => {
                    let up = rest.chunks(3).take_while(|part| is_super(part)).count();
                    if up == self.module.len() + inline.len() {
                        self.add(&"super::".repeat(up), &rest[up * 3..]);
                    }
                    step = up * 3;
                }
                _ => {}
            }
            if step == 1 {
                depth = match token {
                    Token::Mark('{') => depth + 1,
                    Token::Mark('}') => depth.saturating_sub(1),
                    Token::Mark(_) | Token::Word(_) => depth,
                };
                inline.retain(|(_, outer)| *outer < depth);
            }
            at += step;
        }
    }

    /// Adds the paths that begin at the root of the crate.
    fn add(&mut self, root: &str, tokens: &[Token<'_>]) {
        let firsts: BTreeSet<String> = leaves(tokens).into_iter().filter_map(|leaf| leaf.into_iter().next()).collect();
        self.paths.extend(firsts.into_iter().map(|first| (format!("{root}{first}"), first)));
    }
}

fn module_of(path: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

fn is_super(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [Token::Word("super"), Token::Mark(':'), Token::Mark(':')])
}

/// Whether an item that exists only for tests begins here.
fn for_tests(tokens: &[Token<'_>]) -> bool {
    use Token::{Mark, Word};
    matches!(tokens, [Mark('#'), Mark('['), Word("cfg"), Mark('('), Word("test"), Mark(')'), Mark(']'), ..])
}

/// The number of tokens of the attributes before an item.
fn behind_attributes(tokens: &[Token<'_>]) -> usize {
    let mut at = 0;
    while let [Token::Mark('#'), Token::Mark('['), ..] = &tokens[at..] {
        at += 1 + balanced(&tokens[at + 1..]);
    }
    at
}

/// The number of tokens of an item: up to a semicolon, a comma or the end of its braces.
fn item_length(tokens: &[Token<'_>]) -> usize {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Mark('{') => return at + balanced(&tokens[at..]),
            Token::Mark(';' | ',') => return at + 1,
            Token::Mark('(' | '[') => at += balanced(&tokens[at..]),
            Token::Mark('}') => return at,
            Token::Mark(_) | Token::Word(_) => at += 1,
        }
    }
    at
}

/// The number of tokens from an opening mark to its closing one.
fn balanced(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Mark(_) | Token::Word(_) => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The paths of a tree such as `a::{b, c::d}`, which begins here; a name that is given by `as` ends a path.
fn leaves(tokens: &[Token<'_>]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    tree(tokens, &mut Vec::new(), &mut found);
    found
}

/// Reads one tree and returns its number of tokens.
fn tree(tokens: &[Token<'_>], prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let before = prefix.len();
    let mut at = 0;
    loop {
        match &tokens[at..] {
            [Token::Mark('{'), ..] => {
                at += 1;
                while !matches!(tokens.get(at), None | Some(Token::Mark('}'))) {
                    let taken = tree(&tokens[at..], prefix, found);
                    at += taken.max(1);
                    if let Some(Token::Mark(',')) = tokens.get(at) {
                        at += 1;
                    }
                }
                at += 1;
                break;
            }
            [Token::Word(name), Token::Mark(':'), Token::Mark(':'), ..] => {
                prefix.push((*name).to_owned());
                at += 3;
            }
            [Token::Word(name), Token::Word("as"), Token::Word(alias), ..] => {
                found.push(prefix.iter().cloned().chain([(*name).to_owned(), (*alias).to_owned()]).collect());
                at += 3;
                break;
            }
            [Token::Word(name), ..] => {
                found.push(prefix.iter().cloned().chain([(*name).to_owned()]).collect());
                at += 1;
                break;
            }
            // `a::*`, `a::<T>`, and anything that is not a path.
            _ => {
                if prefix.len() > before {
                    found.push(prefix.clone());
                }
                break;
            }
        }
    }
    prefix.truncate(before);
    at
}
