// Part of the contract `counters/confirmed_charges_are_kept`: what the module that all Durable Objects of an isolate share may
// lose of their cells. Each cell here is one object's; each function returns how the contract was violated, or nothing.

import { OpenCell } from "../../adapters/cloudflare/js/cell.mjs";
import { copyBytes, textOf } from "../../adapters/cloudflare/js/text.mjs";
import * as contracts from "tollgate-wasm";

export const cellsAreKept = () => manyCells() ?? aTrap();

// More than the module keeps open, all of them with changes that are not stored.
function manyCells() {
  const cells = Array.from({ length: 4096 + 100 }, () => new OpenCell(NOTHING));
  const granted = (id) => cells.filter((cell) => isGranted(cell, id)).length;
  const [first, second] = [granted(1), granted(2)];
  for (const cell of cells) cell.close();
  if (first !== cells.length) return `${first} of ${cells.length} cells granted the first charge`;
  if (second !== 0) return `${second} of ${cells.length} open cells lost a charge`;
}

function aTrap() {
  const [taken, trapped] = [new OpenCell(NOTHING), new OpenCell(NOTHING)];
  if (!isGranted(taken, 1)) return "the first charge was refused";
  taken.state();
  if (!traps(trapped)) return "the module did not trap";
  if (isGranted(taken, 2)) return "a cell lost the state that its object has, when the module trapped for another";
  if (!isGranted(trapped, 1)) return "the cell for which the module trapped is not usable";
  traps(taken);
  if (isGranted(trapped, 2)) return "a second trap lost a charge";
}

function traps(cell) {
  try {
    // More than the module has room for.
    cell.update({ length: 2 ** 31 }, NOW);
    return false;
  } catch {
    return true;
  }
}

const NOTHING = new Uint8Array();
const NOW = 1_000_000;

function isGranted(cell, id) {
  const { answer } = cell.update(textOf(contracts.chargeRequest(id)), NOW);
  const bytes = new Uint8Array(answer.length);
  copyBytes(answer, bytes);
  return contracts.isGranted(bytes);
}
