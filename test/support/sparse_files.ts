// Checkpoint files of their real size that take no room: headers as they are, data as holes.
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { fileDTypeBytes, type FileDType } from "../../ts/checkpoint/file_dtype.js";

/** What a file says of a tensor. */
export interface TensorShape {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
}

const bytesOf = ({ dtype, shape }: TensorShape) =>
  shape.reduce((product, n) => product * n, fileDTypeBytes[dtype]);

function write(file: string, pieces: readonly (readonly [Buffer, number])[], size: number): void {
  const descriptor = openSync(file, "w");
  for (const [bytes, at] of pieces) writeSync(descriptor, bytes, 0, bytes.length, at);
  ftruncateSync(descriptor, size);
  closeSync(descriptor);
}

/** A safetensors file of these tensors, all zero. */
export function sparseSafetensors(
  file: string,
  tensors: Readonly<Record<string, TensorShape>>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  let end = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape }]) => {
    const begin = end;
    end += bytesOf({ dtype, shape });
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const all = Object.keys(metadata).length > 0 ? [["__metadata__", metadata], ...entries] : entries;
  const text = Buffer.from(JSON.stringify(Object.fromEntries(all)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  write(file, [[Buffer.concat([length, text]), 0]], 8 + text.length + end);
}

const storageOf: Partial<Record<FileDType, string>> = {
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
  I64: "LongStorage",
};

/** A zip member of holes, or of bytes. */
interface Piece {
  readonly name: string;
  readonly bytes: number;
  readonly content?: Buffer;
}

/** A PyTorch zip of members one after the other, from 4 GB on with zip64's fields. */
export function sparseZip(
  file: string,
  members: readonly Piece[],
  crc: (b: Buffer) => number,
): void {
  const pieces: [Buffer, number][] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, content } of members) {
    const title = Buffer.from(name);
    const local = Buffer.alloc(30 + title.length);
    local.write("PK\x03\x04", "latin1");
    local.writeUInt16LE(title.length, 26);
    title.copy(local, 30);
    const entry = Buffer.alloc(46 + title.length + 28);
    entry.write("PK\x01\x02", "latin1");
    entry.writeUInt32LE(content === undefined ? 0 : crc(content), 16);
    entry.fill(0xff, 20, 28);
    entry.writeUInt16LE(title.length, 28);
    entry.writeUInt16LE(28, 30);
    entry.fill(0xff, 42, 46);
    title.copy(entry, 46);
    const extra = 46 + title.length;
    entry.writeUInt16LE(1, extra);
    entry.writeUInt16LE(24, extra + 2);
    [bytes, bytes, at].forEach((n, i) => entry.writeBigUInt64LE(BigInt(n), extra + 4 + 8 * i));
    directory.push(entry);
    pieces.push([local, at]);
    if (content !== undefined) pieces.push([content, at + local.length]);
    at += local.length + bytes;
  }
  const list = Buffer.concat(directory);
  const record = Buffer.alloc(56 + 20 + 22);
  record.write("PK\x06\x06", "latin1");
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(members.length), 32);
  record.writeBigUInt64LE(BigInt(list.length), 40);
  record.writeBigUInt64LE(BigInt(at), 48);
  record.write("PK\x06\x07", 56, "latin1");
  record.writeBigUInt64LE(BigInt(at + list.length), 64);
  record.writeUInt32LE(1, 72);
  record.write("PK\x05\x06", 76, "latin1");
  record.fill(0xff, 84, 96);
  pieces.push([list, at], [record, at + list.length]);
  write(file, pieces, at + list.length + record.length);
}

/** The name of a dtype's storage class in a pickle. */
export function storageClass(dtype: FileDType): string {
  const name = storageOf[dtype];
  if (name === undefined) throw new Error(`no storage of ${dtype}`);
  return `torch.${name}`;
}
