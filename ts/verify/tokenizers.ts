import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { isJsonObject, type Json, type JsonObject } from "../nn/config_reader.js";
import { ClipTokenizer } from "../text/clip_tokenizer.js";
import { T5Tokenizer } from "../text/t5_tokenizer.js";
import type { Row } from "./comparison.js";
import type { Skipped } from "./verify.js";

type Encode = (text: string) => readonly number[];

/** A file of texts and the ids that each tokenizer gives them. */
interface TokenFixture {
  readonly name: string;
  readonly variants: readonly string[];
  readonly rows: readonly JsonObject[];
}

function readTokenFixture(file: string): TokenFixture | undefined {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // some other file that a folder holds
  }
  if (!isJsonObject(json) || !Array.isArray(json.rows) || !Array.isArray(json.variants))
    return undefined;
  return {
    name: path.basename(file, ".json"),
    variants: json.variants.map(String),
    rows: json.rows.filter(isJsonObject).filter(({ text }) => typeof text === "string"),
  };
}

const clipVariants = {
  open_clip: "open_clip",
  hpsv2: "open_clip",
  hf_slow_ftfy: "hf",
  hf_slow_basic: "hf_basic",
  hf_fast: "hf_fast",
} as const;

/** The tokenizer of each variant, from a folder with `clip/` and `t5/`. */
async function encoders(folder: string): Promise<Map<string, Encode>> {
  const all = new Map<string, Encode>();
  for (const [name, variant] of Object.entries(clipVariants)) {
    const clip = await ClipTokenizer.load(path.join(folder, "clip"), { variant });
    all.set(name, (text) => clip.encode(text));
  }
  const t5 = await T5Tokenizer.load(path.join(folder, "t5"), { maxLength: 512 });
  return all.set("t5", (text) => t5.encode(text));
}

/** A variant that differs nowhere is listed only where its ids are not open_clip's. */
function expectedIds(row: JsonObject, variant: string): Json | undefined {
  return row[variant] ?? (variant === "t5" ? undefined : row.open_clip);
}

function rowsOf({ name, variants, rows }: TokenFixture, encode: Map<string, Encode>): Row[] {
  return variants.map((variant): Row => {
    const encoder = encode.get(variant);
    const at = { fixture: name, tensor: variant, tolerance: 0 };
    if (encoder === undefined)
      return { ...at, error: Infinity, ok: false, note: "unknown tokenizer" };
    const wrong = rows.filter(
      (row) =>
        JSON.stringify(encoder(row.text as string)) !== JSON.stringify(expectedIds(row, variant)),
    );
    const [first] = wrong;
    const note = `texts of ${rows.length} with other ids`;
    return {
      ...at,
      error: wrong.length,
      ok: wrong.length === 0,
      note: first === undefined ? note : `${note}: ${JSON.stringify(first.text)}`,
    };
  });
}

/** Replays the token fixtures at a path; without vocabularies they are skipped, with their rows' count. */
export async function verifyTokenizers(
  where: string,
  folder: string | undefined,
): Promise<{ fixtures: { name: string; rows: Row[] }[]; skipped: Skipped[] }> {
  const files = statSync(where).isDirectory()
    ? readdirSync(where).map((name) => path.join(where, name))
    : [where];
  const found = files
    .filter((file) => file.endsWith(".json") && existsSync(file))
    .sort()
    .flatMap((file) => readTokenFixture(file) ?? []);
  if (found.length === 0) return { fixtures: [], skipped: [] };
  if (folder === undefined)
    return {
      fixtures: [],
      skipped: found.map(({ name, rows }) => ({
        fixture: name,
        count: rows.length,
        why: "no vocabularies here (--tokenizers DIR)",
      })),
    };
  const encode = await encoders(folder);
  return {
    fixtures: found.map((fixture) => ({ name: fixture.name, rows: rowsOf(fixture, encode) })),
    skipped: [],
  };
}
