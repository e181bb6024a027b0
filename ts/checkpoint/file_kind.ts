// What a file is, by its bytes. A wrong download is named: what came instead, and what to do.
import { badFile, FileBytes, shownText } from "./file_bytes.js";

/** The containers of tensors that are read. */
export type FileKind = "safetensors" | "torch";

const headBytes = 1024;
const zip = Buffer.from("PK\x03\x04", "latin1");
const emptyZip = Buffer.from("PK\x05\x06", "latin1");
const lfs = "version https://git-lfs.github.com/spec/";

/** The one line of Python that turns an old file into one that is read. */
export function resaveHint(file: string): string {
  const name = JSON.stringify(file.split("/").at(-1));
  return (
    "convert it once where PyTorch is: python -c 'import torch; " +
    `torch.save(torch.load(${name}, map_location="cpu", weights_only=True), "converted.pt")'`
  );
}

/** What a text file that came in a checkpoint's place is, and what to do. */
function namedText(text: string): string | undefined {
  const start = text.trimStart();
  const lower = start.toLowerCase();
  if (start.startsWith(lfs)) {
    const size = /^size (\d{1,16})$/m.exec(start)?.[1];
    return (
      `a Git LFS pointer, not the file itself${size === undefined ? "" : ` of ${size} bytes`}; ` +
      'run "git lfs pull" in its repository, or download the file'
    );
  }
  if (lower.startsWith("<!doctype html") || lower.startsWith("<html")) {
    const title = /<title[^>]*>([^<]{1,200})/i.exec(start)?.[1]?.trim();
    return (
      `an HTML page${title === undefined ? "" : ` ("${shownText(title, 60)}")`} saved in its place; ` +
      "accept the model's terms on the hub, and download it again with a token"
    );
  }
  if (lower.startsWith("<?xml"))
    return `an XML answer of a server saved in its place (${shownText(start, 80)}); download it again`;
  const firstBytes = start.slice(0, 400);
  if (start.startsWith("{") || start.startsWith("["))
    return `JSON text (${shownText(firstBytes, 80)}); name the file with the weights, or download it again`;
  return start === "" ? undefined : `plain text (${shownText(firstBytes, 80)}); download it again`;
}

/** Whether it begins as text does; a safetensors header's length has zero bytes. */
function isText(head: Buffer): boolean {
  return head.subarray(0, 16).every((b) => (b >= 0x20 && b < 0x7f) || (b >= 9 && b <= 13));
}

/** What a file is that is no checkpoint, and what to do; undefined if it may be one. */
function foreign(path: string, size: number, head: Buffer): string | undefined {
  if (size === 0) return "an empty file; download it again";
  if (head.subarray(0, 4).toString("latin1") === "GGUF")
    return "a GGUF file, which is not read; take the model's safetensors";
  if (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5)
    return `a PyTorch file older than version 1.6 or a bare pickle, which are not read; ${resaveHint(path)}`;
  if (head[0] === 0x1f && head[1] === 0x8b) return "a gzip file; unpack it first";
  if (head.length > 262 && head.subarray(257, 262).toString("latin1") === "ustar")
    return "a tar archive; unpack it first";
  if (head.length === headBytes && head.every((b) => b === 0))
    return "zero bytes at its start; the download was cut, fetch it again";
  return isText(head) ? namedText(head.toString("utf8")) : undefined;
}

/**
 * Which container a file is. What looks like neither goes for safetensors, whose reader says what is wrong.
 *
 * @throws SrpoError ERR_CHECKPOINT for a Git LFS pointer, an HTML page, an old pickle, ...: what it is, and
 *   what to do
 */
export function fileKind(path: string): FileKind {
  using file = new FileBytes(path);
  const head = file.upTo(headBytes, 0);
  const start = head.subarray(0, 4);
  if (start.equals(zip) || start.equals(emptyZip)) return "torch";
  const other = foreign(path, file.size, head);
  if (other !== undefined)
    throw badFile(path, "file", "a safetensors or PyTorch zip checkpoint", other);
  return "safetensors";
}
