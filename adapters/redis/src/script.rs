//! The script, and the words of a call.

use tollgate_core::cell::CellKey;

/// Replaces the values of keys, all or none.
///
/// For each key there are three arguments: the stamp with which its value has to begin (empty: the key does not exist), the new
/// value (empty: it is kept), and for how many milliseconds the new one is stored (`0`: without an end). Returns 1, or the
/// values of all keys if one has another stamp.
///
/// The last argument is a stamp that the values get in the second case, or empty: a claim, which makes the changes of all others
/// fail once. Values of another layout are left alone.
///
/// It uses commands of Redis 2.6.12 and later.
pub const SCRIPT: &str = "\
local claim = ARGV[3 * #KEYS + 1]
for i = 1, #KEYS do
  if redis.call('GETRANGE', KEYS[i], 0, 15) ~= ARGV[3 * i - 2] then
    for j = 1, #KEYS do
      if claim ~= '' and redis.call('GETRANGE', KEYS[j], 0, 0) == string.char(1) then
        redis.call('SETRANGE', KEYS[j], 0, claim)
      end
    end
    return redis.call('MGET', unpack(KEYS))
  end
end
for i = 1, #KEYS do
  local value, ms = ARGV[3 * i - 1], ARGV[3 * i]
  if value ~= '' and ms == '0' then
    redis.call('SET', KEYS[i], value)
  elseif value ~= '' then
    redis.call('SET', KEYS[i], value, 'PX', ms)
  end
end
return 1
";

/// The name by which the server knows [`SCRIPT`] once it has seen it.
pub const SCRIPT_SHA1: &str = "2d43ea57ee6864ff4de1754c9e8773a2196d98cf";

/// The keys and the arguments of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The keys, of one owner.
    pub keys: Vec<String>,
    /// Three for each key, and the claim.
    pub arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(crate) fn add(&mut self, key: String, stamp: &[u8], value: Option<Vec<u8>>, stored_ms: Option<u64>) {
        self.keys.push(key);
        let end = stored_ms.map_or_else(|| "0".to_owned(), |ms| ms.max(1).to_string());
        self.arguments.extend([stamp.to_vec(), value.unwrap_or_default(), end.into_bytes()]);
    }
}

/// The key of a cell.
///
/// It has no hash tag, so that a cluster spreads cells over all of its slots.
pub(crate) fn key_of(gateway: &str, cell: &CellKey) -> String {
    format!("{gateway}:cell:{cell}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_script_is_its_digest() {
        assert_eq!(SCRIPT_SHA1, sha1_smol::Sha1::from(SCRIPT).digest().to_string());
    }

    #[test]
    fn a_value_is_never_stored_for_no_time() {
        let mut call = Call::default();
        call.add("k".to_owned(), b"", Some(vec![1]), Some(0));
        call.add("l".to_owned(), b"s", None, None);
        assert_eq!(call.arguments, [&b""[..], &[1], b"1", b"s", b"", b"0"]);
    }
}
