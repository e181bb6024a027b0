import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { SafetensorsFile } from "../checkpoint/safetensors.js";
import { SrpoError } from "../native/error.js";
import { isJsonObject, type JsonObject } from "../nn/config_reader.js";
import type { TensorSource } from "../nn/load.js";

/** One fixture: the tensors of all its files as one key space, and what their metadata says. */
export interface Fixture extends Disposable {
  readonly name: string;
  /** Which network made it. */
  readonly module: string;
  readonly config: JsonObject;
  readonly source: TensorSource;
  readonly keys: ReadonlySet<string>;
  shape(key: string): readonly number[];
  isInteger(key: string): boolean;
  /** A tensor's values, kept for the next call. */
  values(key: string): Promise<Float32Array | Int32Array>;
}

/** A file that is no fixture, and why. */
export interface NoFixture {
  readonly name: string;
  readonly problem: string;
}

function configOf(file: SafetensorsFile): JsonObject {
  const text = file.metadata.get("config");
  try {
    const config: unknown = JSON.parse(text ?? "null");
    if (isJsonObject(config)) return config;
  } catch {
    // said below
  }
  throw new SrpoError(
    "ERR_CHECKPOINT",
    `${file.origin}: metadata.config: expected a JSON object, got ${text?.slice(0, 80) ?? "nothing"}`,
  );
}

function join(name: string, files: readonly SafetensorsFile[]): Fixture {
  const owners = new Map<string, SafetensorsFile>();
  const first = files[0]!;
  for (const file of files)
    for (const key of file.names()) {
      const other = owners.get(key);
      if (other !== undefined)
        throw new SrpoError(
          "ERR_CHECKPOINT",
          `${file.origin}: ${key}: expected once in the fixture, got it in ${other.origin} too`,
        );
      owners.set(key, file);
    }
  const owner = (key: string): SafetensorsFile => {
    const file = owners.get(key);
    if (file === undefined)
      throw new SrpoError("ERR_CHECKPOINT", `${name}: ${key}: expected in the fixture, got none`);
    return file;
  };
  const modules = new Set(files.map((file) => file.metadata.get("module")));
  const [module] = modules;
  if (module === undefined || modules.size > 1)
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${first.origin}: metadata.module: expected one network, got ${[...modules].join(", ") || "none"}`,
    );
  const known = new Map<string, Promise<Float32Array | Int32Array>>();
  const isInteger = (key: string) => owner(key).info(key).dtype === "I32";
  const read = async (key: string) => {
    const t = owner(key).read(key, { dtype: isInteger(key) ? "int32" : "float32" });
    try {
      const bytes = await t.readBytes();
      return isInteger(key) ? new Int32Array(bytes) : new Float32Array(bytes);
    } finally {
      t.dispose();
    }
  };
  return {
    name,
    module,
    config: configOf(first),
    source: {
      origin: first.origin,
      names: () => owners.keys(),
      shape: (key) => owner(key).shape(key),
      readInto: (key, destination, how) => owner(key).readInto(key, destination, how),
    },
    keys: new Set(owners.keys()),
    shape: (key) => owner(key).shape(key),
    isInteger,
    values: (key) => {
      const values = known.get(key) ?? read(key);
      known.set(key, values);
      return values;
    },
    [Symbol.dispose]: () => {
      for (const file of files) file.close();
    },
  };
}

/** Whether by its name a file belongs to a fixture's main file, `NAME.PART.safetensors`. */
function isPartOf(main: string, name: string): boolean {
  return name === main || name.startsWith(`${path.basename(main, ".safetensors")}.`);
}

function say(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Opens the fixtures at a path: every one in a folder, or the one that a file is part of. Parts belong
 * together by the `fixture` of their metadata, in whatever files they lie.
 *
 * @throws SrpoError ERR_CHECKPOINT if there is nothing at the path
 */
export function openFixtures(where: string): (Fixture | NoFixture)[] {
  const isFolder = statSync(where).isDirectory();
  const folder = isFolder ? where : path.dirname(where);
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".safetensors"))
    .sort();
  const wanted = isFolder ? undefined : path.basename(where);
  const parts = new Map<string, SafetensorsFile[]>();
  const found: (Fixture | NoFixture)[] = [];
  let only: string | undefined;
  for (const name of files) {
    try {
      const file = SafetensorsFile.open(path.join(folder, name));
      const fixture = file.metadata.get("fixture") ?? name;
      parts.set(fixture, [...(parts.get(fixture) ?? []), file]);
      if (name === wanted) only = fixture;
    } catch (error) {
      // Of another fixture in the folder it is none of ours, but a part that cannot be read would pass unseen.
      if (wanted === undefined || isPartOf(wanted, name)) found.push({ name, problem: say(error) });
    }
  }
  for (const [name, of] of parts) {
    if (wanted !== undefined && name !== only) {
      for (const file of of) file.close();
      continue;
    }
    try {
      found.push(join(name, of));
    } catch (error) {
      for (const file of of) file.close();
      found.push({ name, problem: say(error) });
    }
  }
  return found;
}

export function isFixture(found: Fixture | NoFixture): found is Fixture {
  return "keys" in found;
}
