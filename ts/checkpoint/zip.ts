// The directory of a zip archive, believed in nothing: APPNOTE.TXT 4.3, with zip64.
import { crc32, inflateRawSync } from "node:zlib";
import { badFile, shownText, type FileBytes } from "./file_bytes.js";

/** One member of an archive. */
export interface ZipEntry {
  readonly name: string;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly crc: number;
  /** Of its bytes in the archive. */
  readonly packed: number;
  readonly size: number;
  /** Of its local header. */
  readonly header: number;
}

const mostEntries = 200_000;
const mostDirectoryBytes = 64 << 20;
const endBytes = 22;
const mostComment = 0xffff;
const all16 = 0xffff;
const all32 = 0xffffffff;

/** A 64-bit field; beyond 2^53 nothing fits a file that exists. */
function wide(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

interface Directory {
  readonly entries: number;
  readonly bytes: number;
  readonly offset: number;
}

/** The record that ends the archive, and its zip64 form where its fields are full. */
function findDirectory(file: FileBytes): Directory {
  const tailStart = Math.max(0, file.size - endBytes - mostComment);
  const tail = file.upTo(file.size - tailStart, tailStart);
  let at = tail.length - endBytes;
  for (; at >= 0; --at)
    if (
      tail.readUInt32LE(at) === 0x06054b50 &&
      at + endBytes + tail.readUInt16LE(at + 20) === tail.length
    )
      break;
  if (at < 0)
    throw badFile(
      file.path,
      "zip directory",
      "one at the end of the file",
      `none in ${file.size} bytes: the file was cut; download it again`,
    );
  const directory = {
    entries: tail.readUInt16LE(at + 10),
    bytes: tail.readUInt32LE(at + 12),
    offset: tail.readUInt32LE(at + 16),
  };
  if (tail.readUInt16LE(at + 4) !== tail.readUInt16LE(at + 6))
    throw badFile(file.path, "zip directory", "an archive in one file", "a part of a split one");
  const isWide =
    directory.entries === all16 || directory.bytes === all32 || directory.offset === all32;
  if (!isWide) return directory;
  const locatorAt = tailStart + at - 20;
  const locator = locatorAt < 0 ? undefined : file.exactly(20, locatorAt, "zip64 locator");
  if (locator?.readUInt32LE(0) !== 0x07064b50) return directory;
  const record = file.exactly(56, wide(locator, 8), "zip64 directory");
  if (record.readUInt32LE(0) !== 0x06064b50)
    throw badFile(file.path, "zip64 directory", "its signature", "another");
  return { entries: wide(record, 32), bytes: wide(record, 40), offset: wide(record, 48) };
}

/** The 64-bit values of an entry's full fields, in the order in which zip64 keeps them. */
function wideFields(extra: Buffer, fields: readonly number[]): number[] | undefined {
  if (!fields.includes(all32)) return [...fields];
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let next = at + 4;
    const end = Math.min(extra.length, next + extra.readUInt16LE(at + 2));
    const values: number[] = [];
    for (const field of fields) {
      if (field !== all32) values.push(field);
      else if (next + 8 > end) return undefined;
      else {
        values.push(wide(extra, next));
        next += 8;
      }
    }
    return values;
  }
  return undefined;
}

/**
 * The members of an archive by name. No data is read.
 *
 * @throws SrpoError ERR_CHECKPOINT for what is cut, encrypted, split, outside the file or there twice
 */
export function readZipDirectory(file: FileBytes): Map<string, ZipEntry> {
  const directory = findDirectory(file);
  const refuse = (part: string, expected: string, got: string): never => {
    throw badFile(file.path, part, expected, got);
  };
  if (directory.entries > mostEntries)
    refuse("zip directory", `at most ${mostEntries} members`, String(directory.entries));
  if (directory.bytes > mostDirectoryBytes)
    refuse("zip directory", `at most ${mostDirectoryBytes} bytes`, String(directory.bytes));
  const bytes = file.exactly(directory.bytes, directory.offset, "zip directory");
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < directory.entries; ++i) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== 0x02014b50)
      refuse("zip directory", `${directory.entries} members`, `${i} and something else`);
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
    const end = extraEnd + bytes.readUInt16LE(at + 32);
    if (end > bytes.length) refuse("zip directory", "whole members", "a cut one");
    const name = bytes.subarray(at + 46, nameEnd).toString("utf8");
    const shown = shownText(name);
    const fields = [at + 24, at + 20, at + 42].map((field) => bytes.readUInt32LE(field));
    const values = wideFields(bytes.subarray(nameEnd, extraEnd), fields);
    if (values === undefined) return refuse(shown, "the sizes of a zip64 member", "none");
    const [size, packed, header] = values as [number, number, number];
    if ((bytes.readUInt16LE(at + 8) & 0x2041) !== 0)
      refuse(shown, "a plain member", "an encrypted one");
    if (entries.has(name)) refuse(shown, "each member once", "it twice");
    if (header + 30 + packed > file.size)
      refuse(
        shown,
        `a member within the ${file.size} bytes of the file`,
        `${packed} bytes from byte ${header}; download it again`,
      );
    const method = bytes.readUInt16LE(at + 10);
    entries.set(name, { name, method, crc: bytes.readUInt32LE(at + 16), packed, size, header });
    at = end;
  }
  return entries;
}

/**
 * Where a member's bytes begin: its local header is read and held against the directory.
 *
 * @throws SrpoError ERR_CHECKPOINT
 */
export function dataStart(file: FileBytes, entry: ZipEntry): number {
  const shown = shownText(entry.name);
  const name = Buffer.from(entry.name, "utf8");
  const local = file.exactly(30, entry.header, shown);
  const nameBytes = local.readUInt16LE(26);
  if (local.readUInt32LE(0) !== 0x04034b50 || nameBytes !== name.length)
    throw badFile(file.path, shown, "a member's header", "something else; download it again");
  if (!file.exactly(nameBytes, entry.header + 30, shown).equals(name))
    throw badFile(file.path, shown, "a header of the same name", "another; download it again");
  const start = entry.header + 30 + nameBytes + local.readUInt16LE(28);
  if (start + entry.packed > file.size)
    throw badFile(
      file.path,
      shown,
      `${entry.packed} bytes`,
      "the end of the file; download it again",
    );
  return start;
}

/**
 * A small member's content, inflated where it is deflated, its checksum verified.
 *
 * @param most - bytes; a larger one is refused before it is read
 */
export function readMember(file: FileBytes, entry: ZipEntry, most: number): Buffer {
  const shown = shownText(entry.name);
  if (entry.size > most || entry.packed > most)
    throw badFile(
      file.path,
      shown,
      `at most ${most} bytes`,
      String(Math.max(entry.size, entry.packed)),
    );
  const packed = file.exactly(entry.packed, dataStart(file, entry), shown);
  let content: Buffer;
  if (entry.method === 0) content = packed;
  else if (entry.method === 8) {
    try {
      content = inflateRawSync(packed, { maxOutputLength: Math.max(entry.size, 1) });
    } catch (error) {
      const got = error instanceof Error ? error.message : String(error);
      throw badFile(file.path, shown, "deflated data", `${got}; download it again`);
    }
  } else throw badFile(file.path, shown, "a stored or deflated member", `method ${entry.method}`);
  if (content.length !== entry.size)
    throw badFile(file.path, shown, `${entry.size} bytes`, `${content.length}; download it again`);
  if (crc32(content) !== entry.crc)
    throw badFile(
      file.path,
      shown,
      "the checksum of the zip directory",
      "another; download it again",
    );
  return content;
}
