// Values between ranks: small things of the host (metrics, decisions, errors), through the one interface.
import { deserialize, serialize } from "node:v8";
import type { Device } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import { tensorFromBytes, zeros } from "../tensor/tensor.js";
import type { Communicator } from "./communicator.js";

// Of a rank's first message; most values fit, and need no second.
const blockBytes = 4096;
const headerBytes = 4;

/** Every rank's bytes, each in a block of the same size. */
async function gatherBlocks(
  communicator: Communicator,
  device: Device,
  mine: Uint8Array,
  size: number,
): Promise<Buffer[]> {
  using scope = tensorScope();
  void scope;
  const block = new Uint8Array(size);
  block.set(mine);
  const input = tensorFromBytes(block, [size], { dtype: "uint8", device });
  const output = zeros([size * communicator.size], { dtype: "uint8", device });
  communicator.allGather(input, output);
  const all = Buffer.from(await output.readBytes());
  return Array.from({ length: communicator.size }, (_, r) =>
    all.subarray(r * size, (r + 1) * size),
  );
}

/**
 * Every rank's value, in the order of the ranks, on every rank; all of them must call it. A value is what
 * structured cloning takes: numbers to the bit, NaN too.
 */
export async function gatherValues<T>(
  communicator: Communicator,
  device: Device,
  mine: T,
): Promise<T[]> {
  if (communicator.size === 1) return [mine];
  const bytes = serialize(mine);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(bytes.length);
  const room = blockBytes - headerBytes;
  const first = Buffer.concat([header, bytes.subarray(0, room)]);
  const heads = await gatherBlocks(communicator, device, first, blockBytes);
  const lengths = heads.map((head) => head.readUInt32LE(0));
  const rest = Math.max(...lengths) - room;
  const tails =
    rest > 0
      ? await gatherBlocks(communicator, device, bytes.subarray(room), 16 * Math.ceil(rest / 16))
      : undefined;
  return heads.map((head, rank) => {
    const parts = [head.subarray(headerBytes), ...(tails === undefined ? [] : [tails[rank]!])];
    return deserialize(Buffer.concat(parts).subarray(0, lengths[rank])) as T;
  });
}
