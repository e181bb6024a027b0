// TensorBoard's event files: records framed by length and masked CRC-32C, each a protobuf `Event`.
import { appendFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { writeError } from "../checkpoint/durable.js";

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; ++k) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c;
});

function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  crc = (crc ^ 0xffffffff) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

const key = (field: number, wire: number) => varint((field << 3) | wire);

function bytesField(field: number, data: Uint8Array): Buffer {
  return Buffer.concat([key(field, 2), varint(data.length), data]);
}
const textField = (field: number, text: string) => bytesField(field, Buffer.from(text, "utf8"));
const intField = (field: number, value: number) => Buffer.concat([key(field, 0), varint(value)]);

function doubleField(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), data]);
}

function floatField(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, 5), data]);
}

/** The masked, framed record that event files are made of. */
export function frame(data: Uint8Array): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(maskedCrc32c(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(maskedCrc32c(data));
  return Buffer.concat([head, data, tail]);
}

/** Writes scalars and pictures that TensorBoard reads, a record an append: a crash loses nothing. */
export class EventFile {
  readonly path: string;

  /** @param step - after which the events go on; TensorBoard then drops what it had beyond it */
  constructor(folder: string, step = 0) {
    const seconds = Math.floor(Date.now() / 1000);
    const name = `events.out.tfevents.${seconds}.${os.hostname()}.${process.pid}`;
    this.path = path.join(folder, name);
    this.#append([textField(3, "brain.Event:2")]);
    const sessionStart = bytesField(7, intField(1, 1));
    if (step > 0) this.#append([intField(2, step + 1), sessionStart]);
  }

  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const entries = Object.entries(values).map(([tag, value]) =>
      bytesField(1, Buffer.concat([textField(1, tag), floatField(2, value)])),
    );
    this.#append([intField(2, step), bytesField(5, Buffer.concat(entries))]);
  }

  picture(step: number, tag: string, width: number, height: number, png: Uint8Array): void {
    const image = Buffer.concat([
      intField(1, height),
      intField(2, width),
      intField(3, 3), // channels
      bytesField(4, png),
    ]);
    const value = Buffer.concat([textField(1, tag), bytesField(4, image)]);
    this.#append([intField(2, step), bytesField(5, bytesField(1, value))]);
  }

  #append(fields: readonly Buffer[]): void {
    const event = Buffer.concat([doubleField(1, Date.now() / 1000), ...fields]);
    try {
      appendFileSync(this.path, frame(event));
    } catch (error) {
      throw writeError(this.path, error);
    }
  }
}
