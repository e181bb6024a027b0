// A state that so many ranks wrote is read by as many others.
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { saveFolder } from "../../ts/checkpoint/folder.js";
import {
  partName,
  partToWrite,
  readPart,
  type StatePart,
} from "../../ts/checkpoint/state_parts.js";
import { tensor, zeros, type Tensor } from "../../ts/tensor/tensor.js";
import { fresh } from "./files.js";

const test = suite("state in parts");
const length = 3 * 1024 - 64; // the last rank's range is filled up

/** The parts of ranks that share `length` elements, all zeros. */
function parts(ranks: number): StatePart[] {
  const count = ranks === 1 ? length : Math.ceil(length / (256 * ranks)) * 256;
  return Array.from({ length: ranks }, (_, rank) => ({
    rank,
    ranks,
    first: rank * count,
    count,
    length,
    tensors: {
      m: zeros([count]),
      remainder: zeros([count, 2], { dtype: "uint8" }),
      scales: zeros([Math.ceil(count / 256)]),
      step: zeros([1], { dtype: "int32" }),
    },
  }));
}

/** Fills parts with what depends on the element alone. */
function fill(all: readonly StatePart[]): void {
  for (const { first, tensors } of all) {
    const put = (t: Tensor, at: (i: number) => number) => {
      const values = Array.from({ length: t.size }, (_, i) => at(i));
      t.copyFrom(tensor(values, t.shape, { dtype: t.dtype }));
    };
    put(tensors["m"]!, (i) => first + i);
    put(tensors["remainder"]!, (i) => (2 * first + i) % 251);
    put(tensors["scales"]!, (i) => first / 256 + i);
    put(tensors["step"]!, () => 7);
  }
}

async function write(place: string, all: readonly StatePart[]): Promise<void> {
  await saveFolder(place, async (folder) => {
    for (const part of all) {
      const { tensors, metadata } = partToWrite(part);
      await folder.safetensors(`${partName("state", part)}.safetensors`, tensors, metadata);
    }
  });
}

for (const [from, to] of [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 4],
  [4, 3],
  [3, 16],
] as const)
  test(`of ${from}, read by ${to}`, async () => {
    const place = fresh(`parts-${from}-${to}`);
    const written = parts(from);
    fill(written);
    await write(place, written);
    const [wanted, read] = [parts(to), parts(to)];
    fill(wanted);
    for (const [i, part] of read.entries()) {
      await readPart(place, "state", part);
      const size = Math.max(0, Math.min(part.count, length - part.first));
      for (const [name, t] of Object.entries(part.tensors)) {
        const rows = name === "step" ? 1 : Math.ceil(size / (name === "scales" ? 256 : 1));
        const values = rows * (name === "remainder" ? 2 : 1);
        const whole = await wanted[i]!.tensors[name]!.read();
        assert.deepEqual(
          (await t.read()).subarray(0, values),
          whole.subarray(0, values),
          `${name} of rank ${i}`,
        );
      }
    }
  });

test("a file that is missing, another model's, a tensor too many: refused by name", async () => {
  const place = fresh("parts-wrong");
  await write(place, parts(2));
  const [alone] = parts(1);
  await assert.rejects(readPart(place, "state", { ...alone!, length: length + 64 }), {
    code: "ERR_CHECKPOINT",
    message: /range: expected elements from 0 of 3072, got 1536 from 0 of 3008/,
  });
  const { scales, ...fewer } = alone!.tensors;
  scales!.dispose();
  await assert.rejects(
    readPart(place, "state", { ...alone!, tensors: fewer }),
    /scales: expected no such tensor, got one/,
  );
  const more = { ...fewer, v: zeros([length]) };
  await assert.rejects(
    readPart(place, "state", { ...alone!, tensors: more }),
    /v: expected F32 \[1536\], got none/,
  );
  rmSync(
    path.join(
      place,
      readdirSync(place).find((name) => name.includes("00002-of"))!,
    ),
  );
  await assert.rejects(readPart(place, "state", alone!), /expected 2 files of state, got 1/);
});

test.run();
