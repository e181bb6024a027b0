import path from "node:path";
import { badData, readTextData, shown } from "./read_data.js";

/** The tokens that stand for no text, and those that BLIP adds behind BERT's own. */
const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;
const added = ["[DEC]", "[ENC]"] as const;

const maxEntries = 1 << 22;

/** A checked WordPiece vocabulary. */
export interface BertVocabulary {
  /** Entries, the added ones included. */
  readonly size: number;
  readonly pad: number;
  readonly unknown: number;
  readonly start: number;
  readonly end: number;
  /** Id of each piece; what goes on within a word begins with "##". */
  readonly ids: ReadonlyMap<string, number>;
  /** Tokens that a text may spell out, which are taken whole. */
  readonly special: ReadonlySet<string>;
}

/**
 * Reads `vocab.txt` of a folder, a token a line.
 *
 * @throws SrpoError ERR_CHECKPOINT naming the file: unreadable, too large, a token twice or empty, a special
 *   one missing
 */
export async function loadBertVocabulary(folder: string): Promise<BertVocabulary> {
  const file = path.join(folder, "vocab.txt");
  const lines = (await readTextData(file)).split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (lines.length > maxEntries)
    throw badData(file, `expected at most ${String(maxEntries)} tokens, got ${lines.length}`);
  const ids = new Map<string, number>();
  for (const [i, raw] of lines.entries()) {
    const token = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    const where = `line ${String(i + 1)}`;
    if (token === "") throw badData(file, `${where}: expected a token, got an empty line`);
    if (ids.has(token)) throw badData(file, `${where}: the token ${shown(token)} is there twice`);
    ids.set(token, i);
  }
  const idOf = (token: (typeof special)[number]): number => {
    const id = ids.get(token);
    if (id === undefined) throw badData(file, `expected the token ${shown(token)}, it is missing`);
    return id;
  };
  const [pad, unknown, start, end] = special.map(idOf) as [number, number, number, number];
  for (const token of added) if (!ids.has(token)) ids.set(token, ids.size);
  return {
    size: ids.size,
    pad,
    unknown,
    start,
    end,
    ids,
    special: new Set([...special, ...added]),
  };
}
