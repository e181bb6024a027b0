// PyTorch's files, byte by byte, right or wrong as a test wants them.
import { crc32, deflateRawSync } from "node:zlib";
import { opcodes as op } from "../../ts/checkpoint/pickle_opcodes.js";

export interface Member {
  readonly name: string;
  readonly content: Uint8Array;
  readonly deflate?: boolean;
  /** Flags of both headers; bit 0 is encryption. */
  readonly flags?: number;
  /** Where the directory says that its header is. */
  readonly header?: number;
  /** The name in the local header. */
  readonly localName?: string;
}

const integer = (value: number, bytes: 2 | 4 | 8): Buffer => {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value));
  else buffer.writeUIntLE(value, 0, bytes);
  return buffer;
};

/** An archive; with `zip64` sizes and places stand in extra fields, as they do from 4 GB on. */
export function zipOf(members: readonly Member[], { zip64 = false } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const add = (...more: Buffer[]) => {
    for (const part of more) {
      parts.push(part);
      at += part.length;
    }
  };
  for (const member of members) {
    const { name, content, deflate = false, flags = 0 } = member;
    const packed = deflate ? deflateRawSync(content) : Buffer.from(content);
    const local = Buffer.from(member.localName ?? name, "utf8");
    const common = Buffer.concat([
      integer(20, 2),
      integer(flags, 2),
      integer(deflate ? 8 : 0, 2),
      integer(0, 4),
      integer(crc32(content), 4),
    ]);
    const sizes = Buffer.concat([integer(packed.length, 4), integer(content.length, 4)]);
    const header = member.header ?? at;
    add(Buffer.from("PK\x03\x04", "latin1"), common, sizes, integer(local.length, 2));
    add(integer(0, 2), local, packed);
    const full = Buffer.from(name, "utf8");
    const wide = [integer(content.length, 8), integer(packed.length, 8), integer(header, 8)];
    const extra = zip64 ? Buffer.concat([integer(1, 2), integer(24, 2), ...wide]) : Buffer.alloc(0);
    directory.push(
      Buffer.concat([
        Buffer.from("PK\x01\x02", "latin1"),
        integer(20, 2),
        common,
        ...(zip64 ? [Buffer.alloc(8, 0xff)] : [sizes]),
        integer(full.length, 2),
        integer(extra.length, 2),
        integer(0, 2),
        integer(0, 4),
        integer(0, 4),
        zip64 ? Buffer.alloc(4, 0xff) : integer(header, 4),
        full,
        extra,
      ]),
    );
  }
  const start = at;
  add(...directory);
  const bytes = at - start;
  const count = members.length;
  if (zip64) {
    const record = at;
    add(Buffer.from("PK\x06\x06", "latin1"), integer(44, 8), integer(45, 2), integer(45, 2));
    add(integer(0, 4), integer(0, 4), integer(count, 8), integer(count, 8));
    add(integer(bytes, 8), integer(start, 8));
    add(Buffer.from("PK\x06\x07", "latin1"), integer(0, 4), integer(record, 8), integer(1, 4));
  }
  add(Buffer.from("PK\x05\x06", "latin1"), Buffer.alloc(4));
  if (zip64) add(Buffer.alloc(12, 0xff));
  else add(integer(count, 2), integer(count, 2), integer(bytes, 4), integer(start, 4));
  add(integer(0, 2));
  return Buffer.concat(parts);
}

/** What a pickle is written from: a value, or raw operations. */
export type Pickled =
  | null
  | boolean
  | number
  | string
  | readonly Pickled[]
  | { readonly raw: Uint8Array }
  | { readonly dict: readonly (readonly [Pickled, Pickled])[] };

const bytesOf = (...codes: number[]) => Buffer.from(codes);

/** A tuple's, dict's or scalar's operations. */
export function operations(value: Pickled): Buffer {
  if (value === null) return bytesOf(op.NONE);
  if (typeof value === "boolean") return bytesOf(value ? op.NEWTRUE : op.NEWFALSE);
  if (typeof value === "number") {
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
      const four = Buffer.alloc(4);
      four.writeInt32LE(value);
      return Buffer.concat([bytesOf(op.BININT), four]);
    }
    const eight = Buffer.alloc(8);
    eight.writeBigInt64LE(BigInt(value));
    return Buffer.concat([bytesOf(op.LONG1, 8), eight]);
  }
  if (typeof value === "string") {
    const text = Buffer.from(value, "utf8");
    return Buffer.concat([bytesOf(op.BINUNICODE), integer(text.length, 4), text]);
  }
  if ("raw" in value) return Buffer.from(value.raw);
  if ("dict" in value)
    return Buffer.concat([
      bytesOf(op.EMPTY_DICT, op.MARK),
      ...value.dict.flat().map(operations),
      bytesOf(op.SETITEMS),
    ]);
  return Buffer.concat([bytesOf(op.MARK), ...value.map(operations), bytesOf(op.TUPLE)]);
}

/** A whole pickle of protocol 2. */
export function pickleOf(value: Pickled): Buffer {
  return Buffer.concat([bytesOf(op.PROTO, 2), operations(value), bytesOf(op.STOP)]);
}

/** `module.name` called with a tuple. */
export function called(name: string, args: Pickled): Pickled {
  return {
    raw: Buffer.concat([operations(globalNamed(name)), operations(args), bytesOf(op.REDUCE)]),
  };
}

export function globalNamed(name: string): Pickled {
  const dot = name.lastIndexOf(".");
  return { raw: Buffer.from(`c${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`, "latin1") };
}

export interface TensorParts {
  readonly storage?: string;
  readonly key?: string;
  readonly elements: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A tensor as torch.save writes it. */
export function tensorOf({
  storage = "torch.FloatStorage",
  key = "0",
  elements,
  offset = 0,
  shape,
  strides,
}: TensorParts): Pickled {
  const id = operations(["storage", globalNamed(storage), key, "cpu", elements]);
  const hooks = called("collections.OrderedDict", []);
  const persistent = { raw: Buffer.concat([id, bytesOf(op.BINPERSID)]) };
  return called("torch._utils._rebuild_tensor_v2", [
    persistent,
    offset,
    shape,
    strides,
    false,
    hooks,
  ]);
}

/** A checkpoint of one pickle and its storages. */
export function torchOf(
  pickle: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>>,
  { zip64 = false, more = [] }: { zip64?: boolean; more?: readonly Member[] } = {},
): Buffer {
  return zipOf(
    [
      { name: "archive/data.pkl", content: pickle },
      ...Object.entries(storages).map(([key, content]) => ({
        name: `archive/data/${key}`,
        content,
      })),
      ...more,
    ],
    { zip64 },
  );
}

/** Float32 values as a storage's bytes. */
export function floats(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
