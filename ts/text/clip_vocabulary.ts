import path from "node:path";
import { byteSymbols, endOfWord } from "./byte_symbols.js";
import { pairKey, type Merge, type MergeTable } from "./merge.js";
import { badData, isRecord, parseJson, readTextData, shown } from "./read_data.js";

/** The spelling of the two special tokens in vocab.json. */
export const startToken = "<|startoftext|>";
export const endToken = "<|endoftext|>";

/** A checked byte-level vocabulary: every text has ids in it. */
export interface ClipVocabulary {
  readonly size: number;
  readonly start: number;
  readonly end: number;
  /** Ids of the 256 byte symbols, and of the same with the end-of-word mark. */
  readonly bytes: Int32Array;
  readonly lastBytes: Int32Array;
  readonly merges: MergeTable;
}

/** An id must be smaller, so that a pair of ids is one exact number. */
const maxEntries = 1 << 22;

/** The strings of a JSON text. */
function countStrings(text: string): number {
  let quotes = 0;
  for (let i = 0; i < text.length; i++)
    if (text[i] === "\\") i++;
    else if (text[i] === '"') quotes++;
  return quotes / 2;
}

function checkedIds(file: string, text: string): Map<string, number> {
  const data = parseJson(file, text);
  if (!isRecord(data)) throw badData(file, `expected an object of token: id, got ${shown(data)}`);
  const entries = Object.entries(data);
  const n = entries.length;
  if (n > maxEntries)
    throw badData(file, `expected at most ${String(maxEntries)} tokens, got ${String(n)}`);
  const tokenOf = Array.from<string | undefined>({ length: n });
  for (const [token, id] of entries) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= n)
      throw badData(
        file,
        `token ${shown(token)}: expected an id from 0 to ${String(n - 1)} (each once, no gaps, ` +
          `no token twice), got ${shown(id)}`,
      );
    if (tokenOf[id] !== undefined)
      throw badData(
        file,
        `tokens ${shown(tokenOf[id])} and ${shown(token)} have one id, ${String(id)}`,
      );
    tokenOf[id] = token;
  }
  // JSON.parse keeps the last of equal keys; all values are numbers here, so every string is a key.
  if (countStrings(text) !== n) throw badData(file, "expected each token once, one is there twice");
  return new Map(entries as [string, number][]);
}

function idOf(file: string, ids: ReadonlyMap<string, number>, token: string): number {
  const id = ids.get(token);
  if (id === undefined) throw badData(file, `expected the token ${shown(token)}, it is missing`);
  return id;
}

function checkedMerges(file: string, text: string, ids: ReadonlyMap<string, number>): MergeTable {
  const merges = new Map<number, Merge>();
  const lines = text.split("\n");
  let rank = 0;
  for (const [i, raw] of lines.entries()) {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if ((i === 0 && line.startsWith("#version")) || line === "") continue;
    const where = `line ${String(i + 1)}`;
    const [left, right, ...more] = line.split(" ");
    if (left === undefined || right === undefined || !left || !right || more.length > 0)
      throw badData(
        file,
        `${where}: expected two symbols with a blank between, got ${shown(line)}`,
      );
    const [leftId, rightId, product] = [ids.get(left), ids.get(right), ids.get(left + right)];
    if (leftId === undefined || rightId === undefined || product === undefined) {
      const missing = leftId === undefined ? left : rightId === undefined ? right : left + right;
      throw badData(file, `${where}: ${shown(missing)} is not in vocab.json`);
    }
    const key = pairKey(leftId, rightId);
    if (merges.has(key)) throw badData(file, `${where}: the merge ${shown(line)} is there twice`);
    merges.set(key, { rank: rank++, product });
  }
  return merges;
}

/**
 * Reads `vocab.json` and `merges.txt` of a folder.
 *
 * @throws SrpoError ERR_CHECKPOINT naming the file: unreadable, too large, no JSON, a wrong or double id,
 * a byte symbol or special token missing, a merge whose parts or product the vocabulary lacks
 */
export async function loadClipVocabulary(folder: string): Promise<ClipVocabulary> {
  const vocabFile = path.join(folder, "vocab.json");
  const mergesFile = path.join(folder, "merges.txt");
  const ids = checkedIds(vocabFile, await readTextData(vocabFile));
  const idsOf = (mark: string): Int32Array =>
    Int32Array.from(byteSymbols, (symbol) => idOf(vocabFile, ids, symbol + mark));
  return {
    size: ids.size,
    start: idOf(vocabFile, ids, startToken),
    end: idOf(vocabFile, ids, endToken),
    bytes: idsOf(""),
    lastBytes: idsOf(endOfWord),
    merges: checkedMerges(mergesFile, await readTextData(mergesFile), ids),
  };
}
