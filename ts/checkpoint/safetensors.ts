import path from "node:path";
import { native } from "../native/binding.js";
import { codeOf } from "../native/error.js";
import type { FileDType } from "./file_dtype.js";
import { fileKind } from "./file_kind.js";
import { FileStore } from "./file_store.js";

/** The parsed header of a file; where the file is no safetensors at all, the error says what it is. */
function openChecked(file: string) {
  try {
    return native.safetensorsOpen(file);
  } catch (error) {
    if (codeOf(error) === "ERR_CHECKPOINT") fileKind(file);
    throw error;
  }
}

/**
 * One safetensors file, its header read and checked, its data read in chunks when asked for: no mapping,
 * no copy of the file in memory.
 */
export class SafetensorsFile extends FileStore {
  private constructor(file: string) {
    const opened = openChecked(file);
    const tensors = opened.tensors.map((t) => ({ ...t, dtype: t.dtype as FileDType }));
    super(file, opened.file, tensors, new Map(opened.metadata));
  }

  /**
   * Opens a file and checks its whole header: strict JSON and UTF-8, no key twice, known dtypes, shapes
   * that agree with their bytes, data without holes, overlap or bytes left over.
   *
   * @throws SrpoError ERR_CHECKPOINT, `<file>: <tensor or header>: expected ..., got ...`
   */
  static open(file: string): SafetensorsFile {
    return new SafetensorsFile(path.resolve(file));
  }
}
