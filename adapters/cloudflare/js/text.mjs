// Bytes as text with a character for each, which the platform passes to a Durable Object at less cost than bytes.

export function textOf(bytes) {
  if (bytes.length <= PART) return String.fromCharCode.apply(null, bytes);
  let text = "";
  for (let at = 0; at < bytes.length; at += PART) text += String.fromCharCode.apply(null, bytes.subarray(at, at + PART));
  return text;
}

// The number of arguments that a call may have is limited.
const PART = 4096;

// Writes the bytes of a text, as many as there is room for. Returns the number of all of them, or -1 if it is no such text.
export function copyBytes(text, into) {
  if (typeof text !== "string") return -1;
  const bytes = Math.min(text.length, into.length);
  for (let at = 0; at < bytes; at += 1) {
    const byte = text.charCodeAt(at);
    if (byte > 0xff) return -1;
    into[at] = byte;
  }
  return text.length;
}
