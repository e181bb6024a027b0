import path from "node:path";
import { badData, isRecord, readJsonData, shown } from "./read_data.js";
import {
  readNormalizer,
  readPreTokenizer,
  type Normalizer,
  type PreTokenizer,
} from "./t5_pipeline.js";
import { Unigram, type UnigramPiece } from "./unigram.js";

/** A checked tokenizer.json of the unigram kind. */
export interface T5Vocabulary {
  readonly size: number;
  readonly end: number;
  readonly pad: number;
  readonly normalize: Normalizer;
  readonly preTokenize: PreTokenizer;
  readonly model: Unigram;
  /** Tokens that are found in the text before anything else, by spelling; and what splits at them. */
  readonly added: ReadonlyMap<string, number>;
  readonly addedPattern: RegExp | undefined;
}

const maxPieces = 1 << 22;
/** The work for a text is at most this times its length. */
const maxPieceLength = 256;

function readPieces(file: string, data: unknown): UnigramPiece[] {
  if (!Array.isArray(data) || data.length === 0 || data.length > maxPieces)
    throw badData(file, `model.vocab: expected a list of [piece, score], got ${shown(data)}`);
  const seen = new Set<string>();
  return (data as unknown[]).map((entry, id) => {
    const [piece, score] = Array.isArray(entry) ? (entry as unknown[]) : [];
    const where = `model.vocab[${String(id)}]`;
    if (typeof piece !== "string" || typeof score !== "number" || !Number.isFinite(score))
      throw badData(file, `${where}: expected [piece, score], got ${shown(entry)}`);
    if (piece === "" || piece.length > maxPieceLength)
      throw badData(
        file,
        `${where}: expected a piece of 1 to ${String(maxPieceLength)} characters, got ${shown(piece)}`,
      );
    if (seen.has(piece)) throw badData(file, `${where}: the piece ${shown(piece)} is there twice`);
    seen.add(piece);
    return { piece, score };
  });
}

function readAdded(file: string, data: unknown): Map<string, number> {
  const added = new Map<string, number>();
  if (data === undefined || data === null) return added;
  if (!Array.isArray(data))
    throw badData(file, `added_tokens: expected a list, got ${shown(data)}`);
  for (const [i, token] of (data as unknown[]).entries()) {
    const where = `added_tokens[${String(i)}]`;
    if (!isRecord(token) || typeof token.content !== "string" || token.content === "")
      throw badData(file, `${where}: expected an object with content and id, got ${shown(token)}`);
    const { id, content } = token;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= maxPieces)
      throw badData(file, `${where}: expected an id, got ${shown(id)}`);
    for (const flag of ["single_word", "lstrip", "rstrip", "normalized"])
      if (token[flag] === true)
        throw badData(file, `${where}: expected ${flag} to be false, got true`);
    if (added.has(content) && added.get(content) !== id)
      throw badData(file, `${where}: the token ${shown(content)} has two ids`);
    added.set(content, id);
  }
  return added;
}

/** Longest first, so that of two tokens at one place the longer is taken. */
function patternOf(added: ReadonlyMap<string, number>): RegExp | undefined {
  if (added.size === 0) return undefined;
  const tokens = [...added.keys()].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  const escaped = tokens.map((token) => token.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&"));
  return new RegExp(`(${escaped.join("|")})`, "u");
}

/**
 * Reads `tokenizer.json` of a folder.
 *
 * @throws SrpoError ERR_CHECKPOINT naming the file: unreadable, too large, no JSON, not unigram, a step
 * that is not known here, a piece that is empty, too long or there twice, a wrong id
 */
export async function loadT5Vocabulary(folder: string): Promise<T5Vocabulary> {
  const file = path.join(folder, "tokenizer.json");
  const data = await readJsonData(file);
  if (!isRecord(data) || !isRecord(data.model) || (data.model.type ?? "Unigram") !== "Unigram")
    throw badData(file, `expected an object with a model of type "Unigram", got ${shown(data)}`);
  const { model } = data;
  if (model.byte_fallback === true)
    throw badData(file, "model: expected byte_fallback to be false");
  const pieces = readPieces(file, model.vocab);
  const { unk_id: unknown } = model;
  if (typeof unknown !== "number" || pieces[unknown] === undefined)
    throw badData(file, `model.unk_id: expected the id of a piece, got ${shown(unknown)}`);
  const added = readAdded(file, data.added_tokens);
  const idOf = (token: string): number => {
    const id = added.get(token) ?? pieces.findIndex(({ piece }) => piece === token);
    if (id < 0) throw badData(file, `expected the token ${shown(token)}, it is missing`);
    return id;
  };
  return {
    size: [...added.values()].reduce((size, id) => Math.max(size, id + 1), pieces.length),
    end: idOf("</s>"),
    pad: idOf("<pad>"),
    normalize: readNormalizer(file, data.normalizer),
    preTokenize: readPreTokenizer(file, data.pre_tokenizer),
    model: new Unigram(pieces, unknown),
    added,
    addedPattern: patternOf(added),
  };
}
