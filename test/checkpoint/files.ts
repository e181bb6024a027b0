import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** A folder for a test's files, removed when the process ends. */
export const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-checkpoint-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

let count = 0;

/** A path in the folder that nothing has used. */
export function fresh(name = "file"): string {
  return path.join(folder, `${count++}-${name}`);
}

/** A file with a safetensors length, header and data, as hostile as its parts. */
export function raw(
  header: string | Uint8Array,
  dataBytes: number | Uint8Array = 0,
  length?: bigint,
): string {
  const text = typeof header === "string" ? Buffer.from(header, "utf8") : header;
  const data = typeof dataBytes === "number" ? Buffer.alloc(dataBytes) : dataBytes;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  const file = fresh("hostile.safetensors");
  writeFileSync(file, Buffer.concat([prefix, text, data]));
  return file;
}
