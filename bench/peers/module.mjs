// The smallest module that decides (`edits/`): text goes in, and the edits of both messages come out.

import module from "./edits.wasm";

const { exports } = new WebAssembly.Instance(module);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

// `lines` are the path, the key, and fields that are read; the answer is the edits of the request, a zero, those of the response.
export function decide(lines) {
  const memory = (start, bytes) => new Uint8Array(exports.memory.buffer, start, bytes);
  const { written } = encoder.encodeInto(lines, memory(exports.input(), INPUT_BYTES));
  const bytes = exports.decide(written, Date.now());
  return decoder.decode(memory(exports.output(), bytes)).split("\0");
}

const INPUT_BYTES = 4096;

// Sets the fields of some edits: a line for each name, and one for each value.
export function set(headers, text) {
  const lines = text.split("\n");
  for (let at = 0; at + 1 < lines.length; at += 2) headers.set(lines[at], lines[at + 1]);
}
