//! `kind: basic`.

use tollgate_core::authn::{
    BasicSettings, BasicUser, KeyRules, PASSWORDS_MAX, SlowHash, USERS_MAX, is_password_digest, is_user_name,
};

use super::api_key::ENVIRONMENTS;
use super::{Absence, Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::{SCOPE, USER_NAME};
use crate::schema::{Key, List, Named, Object, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates callers by name and password; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "basic",
    doc: "Authenticates callers by a name and a password (HTTP Basic, RFC 7617). The users are the consumers of API keys, each with a key \
          as the password, or those in `users`. Named in `authn`.",
    keys: &[
        kind_key(&[("basic", DOES)]),
        Key::optional(
            "users",
            "The users, each with the SHA-256 of its password in hexadecimal, or two while the password is replaced. Such passwords are \
             generated, with at least 128 random bits (`openssl rand -hex 16`): the hash of another one can be reversed by trying. People \
             with passwords that they thought of have slow hashes, all users of a policy or none: argon2id as `tollgate key password` \
             prints it, or bcrypt. Not on Cloudflare.",
            USERS,
        )
        .absent("the consumers of API keys are the users, and their keys the passwords")
        .change(Change::MoreIsLooserIf(Absence::AcceptsOthers))
        .examples(&["{\"ada\": \"fa0b7d76ffe3dd47abae82a7aae6162d5836df65998a09aa32756b19927ff26c\"}"]),
        Key::optional("plan", "The plan of these users.", Shape::Text)
            .absent("no plan")
            .change(Change::Review("callers have another plan"))
            .examples(&["\"gold\""]),
        Key::optional(
            "scopes",
            "The scopes of these users.",
            Shape::List(&List::some_texts(Shape::Ruled(&SCOPE), 64)),
        )
        .absent("none")
        .change(Change::MoreIsGranted)
        .examples(&["[\"orders.read\"]"]),
        Key::optional(
            "environments",
            "Without `users`: the environments of accepted keys, as in `tg_live_...`.",
            Shape::List(&ENVIRONMENTS),
        )
        .absent("all environments")
        .change(Change::MoreIsLooser)
        .examples(&["[\"live\"]"]),
    ],
    examples: &[
        "{\"kind\": \"basic\", \"environments\": [\"live\"]}",
        "{\"kind\": \"basic\", \"users\": {\"ada\": \"fa0b7d76ffe3dd47abae82a7aae6162d5836df65998a09aa32756b19927ff26c\"}}",
    ],
    ..Object::PLAIN
};

const USERS: Shape = Shape::Named(&Named {
    names: &USER_NAME,
    of: Shape::AnyOf(&[Shape::Text, Shape::List(&List::some_texts(Shape::Text, PASSWORDS_MAX))]),
    max: USERS_MAX,
});

impl Kind for BasicSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let is_listed = written.written("users").is_some();
        let without_effect: &[&str] = if is_listed { &["environments"] } else { &["plan", "scopes"] };
        if let Some((key, value)) = without_effect.iter().find_map(|key| Some((key, written.written(key)?))) {
            report_without_effect(key, is_listed, value.span, report);
            return None;
        }
        let all = written.named("users");
        let users: Vec<BasicUser> = all.iter().filter_map(|(name, hashes)| user(name, hashes, report)).collect();
        let environments = written.list("environments");
        let known: Vec<String> = environments.iter().filter_map(|text| parsed::key_environment(text, report)).collect();
        let is_complete =
            users.len() == all.len() && known.len() == environments.len() && are_alike(&all, &users, report);
        is_complete.then_some(Self {
            rules: KeyRules { environments: known, any_format: false },
            users,
            plan: written.text("plan").map(|plan| plan.value),
            scopes: written.list("scopes").into_iter().map(|scope| scope.value).collect(),
            ..Self::new()
        })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let list = |key, texts: &[String]| (!texts.is_empty()).then(|| (key, Value::List(texts.to_vec())));
        let users: Vec<_> = self.users.iter().map(|user| (user.name.clone(), hashes_of(user))).collect();
        [
            (!users.is_empty()).then_some(("users", Value::Named(users))),
            self.plan.clone().map(|plan| ("plan", Value::Text(plan))),
            list("scopes", &self.scopes),
            list("environments", &self.rules.environments),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn hashes_of(user: &BasicUser) -> Vec<String> {
    user.slow.clone().map_or_else(|| user.sha256.clone(), |hash| vec![hash])
}

fn user(name: &Spanned<String>, hashes: &[String], report: &mut Report) -> Option<BasicUser> {
    if let [hash] = hashes
        && hash.starts_with('$')
        && is_user_name(&name.value)
    {
        return person(name, hash, report);
    }
    let sha256: Vec<String> = hashes.iter().map(|hash| hash.to_ascii_lowercase()).collect();
    if !is_user_name(&name.value) {
        let what = format!("`{}` cannot be the name of a user", name.value.escape_debug());
        let why =
            "a name has 1 to 128 bytes, no control characters, and no colon, which ends it in a request (RFC 7617)";
        refuse(report, name.span, what, why, "write another name");
        return None;
    }
    if !(1..=PASSWORDS_MAX).contains(&sha256.len()) || !sha256.iter().all(|hash| is_password_digest(hash)) {
        let what = format!("the password of `{}` is not a SHA-256, or two of them", name.value);
        let why = "the file contains no passwords, only their SHA-256 in 64 hexadecimal digits";
        refuse(
            report,
            name.span,
            what,
            why,
            "write what `printf %s \"$PASSWORD\" | sha256sum` prints, without the `-`",
        );
        return None;
    }
    Some(BasicUser { name: name.value.clone(), sha256, slow: None })
}

/// A person, with the slow hash of a password.
fn person(name: &Spanned<String>, hash: &str, report: &mut Report) -> Option<BasicUser> {
    match SlowHash::parse(hash) {
        Ok(_) => Some(BasicUser { name: name.value.clone(), sha256: Vec::new(), slow: Some(hash.to_owned()) }),
        Err(error) => {
            let what = format!("the hash of the password of `{}` cannot be used: {error}", name.value);
            let why = "a hash that is too cheap can be reversed by trying, and one that is too dear lets anybody keep the gateway busy";
            refuse(report, name.span, what, why, "write what `tollgate key password` prints for a new password");
            None
        }
    }
}

/// Whether an unknown name costs the same as each user.
fn are_alike(all: &[(Spanned<String>, Vec<String>)], users: &[BasicUser], report: &mut Report) -> bool {
    let Some(first) = users.first() else { return true };
    let made_with = |user: &BasicUser| user.slow.as_deref().and_then(|hash| SlowHash::parse(hash).ok());
    let span = |user: &BasicUser| all.iter().find(|(name, _)| name.value == user.name).map(|(name, _)| name.span);
    if let Some(at) = users.iter().find(|user| user.slow.is_some() != first.slow.is_some()).and_then(span) {
        let why = "a request with a SHA-256 is answered sooner, so everybody could tell which names there are";
        let fix = "move the users with generated passwords to a policy of their own, and write `authn: {any: [people, machines]}`";
        refuse(report, at, "only some users of the policy have slow hashes".to_owned(), why, fix);
        return false;
    }
    if let Some(at) = users.iter().find(|user| made_with(user) != made_with(first)).and_then(span) {
        let what = "the passwords of the users are hashed with different parameters";
        report.push(
            Diagnostic::warning(Code::BadBasic, at, what)
                .why("an unknown name costs as much as the dearest one, so others can be told from it by the time of the answer")
                .fix("hash all passwords with the same parameters, as `tollgate key password` does"),
        );
    }
    true
}

fn report_without_effect(key: &str, is_listed: bool, at: Span, report: &mut Report) {
    let (what, why, fix) = if is_listed {
        (format!("`{key}` has no effect with `users`"), "the passwords of listed users are no keys", "remove it")
    } else {
        let why = "the record of a key says what its consumer may do";
        (format!("`{key}` has no effect without `users`"), why, "remove it, or list the users in `users`")
    };
    refuse(report, at, what, why, fix);
}

fn refuse(report: &mut Report, at: Span, what: String, why: &'static str, fix: &'static str) {
    report.push(Diagnostic::error(Code::BadBasic, at, what).why(why).fix(fix));
}
