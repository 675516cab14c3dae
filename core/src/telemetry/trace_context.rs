//! W3C Trace Context: received from the client, forwarded to the upstream.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::bounds::TRACESTATE_BYTES_MAX;
use crate::event::SpanId;
use crate::field_name::{TRACEPARENT, TRACESTATE};
use crate::forward::{Edits, Texts};
use crate::hex;

/// The ids of an exchange in a distributed trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The client's span, if it sent one.
    pub parent: Option<SpanId>,
    /// This exchange's span.
    pub span: SpanId,
    /// Whether the trace is sampled: as the client's field says, otherwise yes.
    pub sampled: bool,
    /// Whether the trace id is random (level 2, section 3.2.2.5.2): as the client's field says; ids made here are.
    pub random: bool,
    /// The client's `tracestate` in one line, if it is valid and belongs to the trace.
    pub state: Option<String>,
}

impl TraceContext {
    /// Continues the client's trace, or starts one; `random` is 24 random bytes.
    ///
    /// A `traceparent` that is invalid, all zeros or present twice is ignored (section 3.2.2), together with its
    /// `tracestate`.
    #[must_use]
    pub fn of(fields: &HeaderMap, random: [u8; 24]) -> Self {
        let mut trace_id = [0; 16];
        let mut span = [0; 8];
        trace_id.copy_from_slice(&random[..16]);
        span.copy_from_slice(&random[16..]);
        match parent(fields) {
            Some(Parent { trace_id, span: parent, flags }) => Self {
                trace_id,
                parent: Some(parent),
                span,
                sampled: flags & SAMPLED != 0,
                random: flags & RANDOM != 0,
                state: state(fields),
            },
            None => Self { trace_id, parent: None, span, sampled: true, random: true, state: None },
        }
    }

    /// Writes the value of `traceparent` for the upstream: this exchange's span becomes the parent.
    fn write_parent(&self, span: SpanId, text: &mut String) {
        text.push_str("00-");
        hex::push(text, &self.trace_id);
        text.push('-');
        hex::push(text, &span);
        text.push('-');
        hex::push(text, &[self.flags()]);
    }

    /// The trace flags; those that no level defines are not passed on (section 3.2.2.5.3).
    #[must_use]
    pub fn flags(&self) -> u8 {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        flag(self.sampled, SAMPLED) | flag(self.random, RANDOM)
    }

    /// Whether a field of the client is not forwarded: `traceparent`, because every attempt has its own (see
    /// [`TraceContext::attempt`]), and `tracestate`, unless it is valid and belongs to the trace.
    #[must_use]
    pub fn drops(&self, name: &HeaderName) -> bool {
        *name == PARENT_NAME || (self.state.is_none() && *name == STATE_NAME)
    }

    /// The edit of `tracestate` before forwarding, where it is kept: all of its lines in one.
    pub fn forward(&self, received: &HeaderMap, edits: &mut Edits) {
        let Some(state) = &self.state else { return };
        // Another edit removes it where `Connection` names it (RFC 9110, section 7.6.1).
        if edits.over(received).contains(STATE_NAME) {
            match HeaderValue::from_str(state) {
                Ok(value) => edits.set(STATE_NAME, value),
                Err(_) => edits.remove(STATE_NAME),
            }
        }
    }

    /// The edit of one attempt, whose span the upstream sees as its parent.
    pub fn attempt(&self, span: SpanId, edits: &mut Edits, texts: &mut Texts) {
        edits.set_some(PARENT_NAME, texts.value(|text| self.write_parent(span, text)));
    }
}

// Constants as names: the hash of a name that is given as text is found by parsing it.
const PARENT_NAME: HeaderName = HeaderName::from_static(TRACEPARENT);
const STATE_NAME: HeaderName = HeaderName::from_static(TRACESTATE);

/// A version, 16 and 8 bytes and flags in hexadecimal, with a hyphen between them (section 3.2.2.1).
const PARENT_BYTES: usize = 55;

/// The flag of a sampled trace (section 3.2.2.5.1).
const SAMPLED: u8 = 1;
/// The flag of a random trace id (level 2, section 3.2.2.5.2).
const RANDOM: u8 = 2;

/// The members of `tracestate`, of all its lines, in one line; `None` if it is empty, invalid or too large.
///
/// An invalid member makes the whole list invalid (section 3.3.1): a part of it would be attributed to other systems.
fn state(fields: &HeaderMap) -> Option<String> {
    let mut state = String::new();
    let mut keys: Vec<&str> = Vec::new();
    for line in fields.get_all(&STATE_NAME) {
        let text = line.to_str().ok()?;
        for member in text.split(',').map(|member| member.trim_matches(OPTIONAL_SPACE)).filter(|m| !m.is_empty()) {
            let key = key_of(member).filter(|key| keys.len() < MEMBERS_MAX && !keys.contains(key))?;
            keys.push(key);
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(member);
        }
    }
    (!state.is_empty() && state.len() <= TRACESTATE_BYTES_MAX).then_some(state)
}

/// RFC 9110, section 5.6.3.
const OPTIONAL_SPACE: [char; 2] = [' ', '\t'];

/// List members of `tracestate` (section 3.3.1.1).
const MEMBERS_MAX: usize = 32;

/// Characters of a key, and of a value (sections 3.3.1.3.1 and 3.3.1.3.2).
const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 256;

/// The key of a valid member.
///
/// This is the grammar of level 2, which includes that of level 1: there, a key has at most one `@`, between names of 241
/// and 14 characters.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let in_key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(&b);
    let key_valid = (1..=KEY_BYTES_MAX).contains(&key.len())
        && key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && key.bytes().all(in_key);
    let value_valid =
        (1..=VALUE_BYTES_MAX).contains(&value.len()) && value.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'=');
    (key_valid && value_valid).then_some(key)
}

/// What a `traceparent` says.
struct Parent {
    trace_id: [u8; 16],
    span: SpanId,
    flags: u8,
}

fn parent(fields: &HeaderMap) -> Option<Parent> {
    let mut lines = fields.get_all(&PARENT_NAME).iter();
    // Not every platform removes the space around a value (RFC 9110, section 5.5).
    let text = lines.next()?.as_bytes().trim_ascii();
    if lines.next().is_some() {
        return None;
    }
    let (parent, rest) = text.split_first_chunk::<PARENT_BYTES>()?;
    let version = bytes::<1>(&parent[..2])?[0];
    let (trace_id, span) = (bytes::<16>(&parent[3..35])?, bytes::<8>(&parent[36..52])?);
    let flags = bytes::<1>(&parent[53..])?[0];
    // Version 00 has four parts; later ones may have more; ff is forbidden.
    let length_fits = rest.is_empty() || version != 0 && rest[0] == b'-';
    let is_separated = [2, 35, 52].iter().all(|at| parent[*at] == b'-');
    let valid = is_separated && version != 0xff && length_fits && trace_id != [0; 16] && span != [0; 8];
    valid.then_some(Parent { trace_id, span, flags })
}

/// Exactly `N` bytes of lower-case hexadecimal.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::read(text, &mut out).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn fields(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|v| (TRACEPARENT.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn parent_of(context: &TraceContext) -> String {
        let mut text = String::new();
        context.write_parent([9; 8], &mut text);
        text
    }

    fn propagate(context: &TraceContext, fields: &mut HeaderMap) {
        let mut edits = Edits::default();
        fields.keys().filter(|name| context.drops(name)).for_each(|name| edits.remove(name.clone()));
        context.forward(fields, &mut edits);
        context.attempt(context.span, &mut edits, &mut Texts::default());
        edits.apply(fields);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_trace_is_continued_with_this_exchange_as_the_parent() {
        let mut out = fields(&[PARENT]);
        out.insert(TRACESTATE, "a=b".parse().unwrap());
        let context = TraceContext::of(&out, [9; 24]);
        assert!(!context.sampled);
        propagate(&context, &mut out);
        assert_eq!(out[TRACEPARENT], "00-4bf92f3577b34da6a3ce929d0e0e4736-0909090909090909-00");
        assert_eq!(out[TRACESTATE], "a=b");
    }

    #[track_caller]
    fn check_state(lines: &[&str], want: Option<&str>) {
        let mut out = fields(&[PARENT]);
        for line in lines {
            out.append(TRACESTATE, line.parse().unwrap());
        }
        propagate(&TraceContext::of(&out, [9; 24]), &mut out);
        assert_eq!(out.get(TRACESTATE).map(|v| v.to_str().unwrap()), want, "{lines:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_state_goes_on_whole_or_not_at_all() {
        check_state(&["a=1, b=2 ", "c@d=3"], Some("a=1,b=2,c@d=3"));
        check_state(&["a=1,,b=2"], Some("a=1,b=2"));
        check_state(&["1t-_*/@sys=x y"], Some("1t-_*/@sys=x y"));
        check_state(
            &[&format!("{}=1", "z".repeat(256)), &format!("{}@{}=1", "t".repeat(241), "v".repeat(14))],
            Some(&format!("{}=1,{}@{}=1", "z".repeat(256), "t".repeat(241), "v".repeat(14))),
        );
        for bad in ["Foo=1", "foo", "foo=", "foo=a=b", "@foo=1", "f o=1", "foo =1", "foo.bar=1", "=1", "a=2"] {
            check_state(&["a=1", bad], None);
        }
        check_state(&[&format!("{}=1", "z".repeat(257))], None);
        check_state(&[&(0..33).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",")], None);
        check_state(&[""], None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keys_have_the_grammar_of_level_2_of_which_level_1_is_a_part() {
        for key in ["0", "9a", "foo@", "foo@@bar", "foo@bar@baz", "t@1system", "a@sys-_*/", "t@system-of-15-ch"] {
            check_state(&["a=1", &format!("{key}=1")], Some(&format!("a=1,{key}=1")));
        }
        let long = format!("t@{}=1", "v".repeat(254));
        check_state(&[&long], Some(&long));
        check_state(&[&format!("t@{}=1", "v".repeat(255))], None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_flags_of_level_2_are_kept_and_others_are_not() {
        for (flags, want) in [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("fc", "00")] {
            let context = TraceContext::of(&fields(&[&format!("{}{flags}", &PARENT[..53])]), [9; 24]);
            assert!(context.parent.is_some(), "{flags}");
            assert_eq!(parent_of(&context)[53..], *want, "{flags}");
        }
        assert!(parent_of(&TraceContext::of(&fields(&[]), [9; 24])).ends_with("-03"), "ids made here are random");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn space_around_a_parent_is_no_part_of_it() {
        for text in [format!("{PARENT} "), format!("{PARENT}\t"), format!(" \t{PARENT}")] {
            let value = HeaderValue::from_str(&text).unwrap();
            let context =
                TraceContext::of(&HeaderMap::from_iter([(HeaderName::from_static(TRACEPARENT), value)]), [9; 24]);
            assert!(context.parent.is_some(), "{text:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_broken_parent_begins_a_new_trace_and_loses_its_state() {
        for bad in [
            "",
            "00-0-0-0",
            &PARENT.to_uppercase(),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-x"),
        ] {
            let mut out = fields(&[bad]);
            out.insert(TRACESTATE, "a=b".parse().unwrap());
            let context = TraceContext::of(&out, [9; 24]);
            propagate(&context, &mut out);
            assert_eq!((context.parent, context.trace_id, out.get(TRACESTATE)), (None, [9; 16], None), "{bad}");
        }
        assert_eq!(TraceContext::of(&fields(&[PARENT, PARENT]), [9; 24]).parent, None);
        assert!(
            TraceContext::of(&fields(&[&PARENT.replacen("00", "01", 1).replace("-00", "-01-more")]), [9; 24])
                .parent
                .is_none()
        );
    }
}
