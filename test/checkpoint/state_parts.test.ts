// A state that so many ranks wrote is read by as many others.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
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
import { uniforms } from "../support/index.js";
import { fresh } from "./files.js";

const test = suite("state in parts");
const length = 3 * 1024 - 64; // the last rank's range is filled up

/** The ranges of ranks that share `length` elements: of each of two buckets a part, or of all as one. */
function rangesOf(ranks: number, buckets: number): { first: number; count: number }[][] {
  const unit = 256 * ranks;
  const whole = ranks === 1 ? length : Math.ceil(length / unit) * unit;
  const ends = buckets === 1 || whole <= unit ? [whole] : [unit, whole];
  return Array.from({ length: ranks }, (_, rank) =>
    ends.map((end, i) => {
      const begin = i === 0 ? 0 : ends[i - 1]!;
      const count = (end - begin) / ranks;
      return { first: begin + rank * count, count };
    }),
  );
}

type Part = StatePart & { tensors: Record<string, Tensor> };

/** The parts of ranks, all zeros. */
function parts(ranks: number, buckets = 2): Part[] {
  return rangesOf(ranks, buckets).map((ranges, rank) => {
    const count = ranges.reduce((sum, range) => sum + range.count, 0);
    return {
      rank,
      ranks,
      ranges,
      length,
      tensors: {
        m: zeros([count]),
        remainder: zeros([count, 2], { dtype: "uint8" }),
        scales: zeros([Math.ceil(count / 256)]),
        step: zeros([1], { dtype: "int32" }),
      },
    };
  });
}

/** The elements that a part's rows stand for, each of so many. */
const elementsOf = ({ ranges }: StatePart, each = 1): number[] =>
  ranges.flatMap(({ first, count }) =>
    Array.from({ length: Math.ceil(count / each) }, (_, i) => first + i * each),
  );

/** Fills parts with what depends on the element alone. */
function fill(all: readonly Part[]): void {
  for (const part of all) {
    const put = (t: Tensor, values: number[]) =>
      t.copyFrom(tensor(values, t.shape, { dtype: t.dtype }));
    const { m, remainder, scales, step } = part.tensors;
    put(m!, elementsOf(part));
    put(
      remainder!,
      elementsOf(part).flatMap((i) => [(2 * i) % 251, (2 * i + 1) % 251]),
    );
    put(scales!, elementsOf(part, 256));
    put(step!, [7]);
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
  for (const buckets of [1, 2])
    test(`of ${from} in ${buckets} ranges, read by ${to}`, async () => {
      const place = fresh(`parts-${from}-${to}-${buckets}`);
      const written = parts(from, buckets);
      fill(written);
      await write(place, written);
      const [wanted, read] = [parts(to), parts(to)];
      fill(wanted);
      for (const [i, part] of read.entries()) {
        await readPart(place, "state", part);
        const size = elementsOf(part).filter((element) => element < length).length;
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

test("a tensor a range is the same in the file as one of all, and is read as either", async () => {
  const whole = parts(2);
  fill(whole);
  const apart = whole.map((part) => {
    const { m } = part.tensors;
    let at = 0;
    const views = part.ranges.map(({ count }) => m!.viewOf((at += count) - count, [count]));
    return { ...part, tensors: { ...part.tensors, m: views } };
  });
  const [one, other] = [fresh("parts-one"), fresh("parts-apart")];
  await write(one, whole);
  await write(other, apart);
  for (const name of readdirSync(one).filter((file) => file.endsWith(".safetensors")))
    assert.ok(readFileSync(path.join(one, name)).equals(readFileSync(path.join(other, name))));
  const wanted = await whole[0]!.tensors["m"]!.read();
  whole[0]!.tensors["m"]!.zero();
  await readPart(one, "state", apart[0]!);
  assert.deepEqual(await whole[0]!.tensors["m"]!.read(), wanted);
});

test("what was written when a rank had one range, named by first and count", async () => {
  const place = fresh("parts-old");
  const written = parts(2, 1);
  fill(written);
  await saveFolder(place, async (folder) => {
    for (const part of written) {
      const [{ first, count }] = part.ranges as [{ first: number; count: number }];
      const size = Math.min(first + count, length) - first;
      const metadata = { first: `${first}`, count: `${size}`, length: `${length}` };
      const { tensors } = partToWrite(part);
      await folder.safetensors(`${partName("state", part)}.safetensors`, tensors, metadata);
    }
  });
  const [wanted, [alone]] = [parts(1), parts(1)];
  fill(wanted);
  await readPart(place, "state", alone!);
  assert.deepEqual(await alone!.tensors["m"]!.read(), await wanted[0]!.tensors["m"]!.read());
});

/** A state of two ranks whose first says of itself what is given. */
async function saying(metadata: Record<string, string>): Promise<string> {
  const place = fresh("parts-hostile");
  await saveFolder(place, async (folder) => {
    for (const part of parts(2)) {
      const { tensors, metadata: own } = partToWrite(part);
      const says = part.rank === 0 ? { ...own, ...metadata } : own;
      await folder.safetensors(`${partName("state", part)}.safetensors`, tensors, says);
    }
  });
  return place;
}

for (const [ranges, message] of [
  [
    "0 256, 0 1280",
    /00001-of-00002.*: range 1: expected whole blocks of 256 within elements 256 to 3008, got 1280 from 0/,
  ],
  [
    "0 256, 768 1280",
    /range: expected elements from 512 of 3008, got 1280 from 768|range: expected elements from/,
  ],
  ["0 256", /range: expected elements from 512 of 3008, got/],
  ["", /range: expected elements from 0 of 3008, got/],
  ["0 256, 256 1280", /range: expected elements from/],
  ["0 256, -512 1280", /range 1: expected whole blocks/],
  ["0 256, 512 99999999999999999999", /range 1: expected whole blocks/],
  ["0 256, 512 9007199254740991", /range 1: expected whole blocks/],
  ["0 100, 512 1436", /range 0: expected whole blocks of 256/],
  ["0 256,512 1280", /range 0: expected whole blocks/],
  ["0 256, 512 1280 7", /range 1: expected whole blocks/],
  ["0 1e3, x y", /range 0: expected whole blocks/],
] as const)
  test(`ranges "${ranges}" are refused by file and range`, async () => {
    const place = await saying({ ranges });
    await assert.rejects(readPart(place, "state", parts(1)[0]!), {
      code: "ERR_CHECKPOINT",
      message,
    });
  });

test("ranges that the file's rows do not stand for are refused by tensor", async () => {
  // The second says the same elements twice over, the first has them.
  const place = fresh("parts-rows");
  const swapped = parts(2);
  await saveFolder(place, async (folder) => {
    for (const part of swapped) {
      const { tensors } = partToWrite(part);
      const ranges = part.rank === 0 ? "0 256" : "256 2752";
      await folder.safetensors(`${partName("state", part)}.safetensors`, tensors, {
        ranges,
        length: `${length}`,
      });
    }
  });
  await assert.rejects(
    readPart(place, "state", parts(1)[0]!),
    /00001-of-00002.*: m: expected F32 \[256\], got F32 \[\d+\]/,
  );
});

test("whatever ranks have whatever blocks: read as they are; with one range moved, refused", async () => {
  const [wanted] = parts(1);
  fill([wanted!]);
  const exact = await wanted!.tensors["m"]!.read();
  const blocks = Math.ceil(length / 256);
  for (const [i, random] of uniforms(12, 7, 0, 1).entries()) {
    const ranks = 2 + (i % 4);
    const owner = Array.from(uniforms(blocks, i, 0, ranks), Math.floor);
    const all = Array.from({ length: ranks }, (_, rank): Part => {
      const ranges = owner.flatMap((one, block) =>
        one === rank ? [{ first: 256 * block, count: Math.min(256, length - 256 * block) }] : [],
      );
      const count = ranges.reduce((sum, range) => sum + range.count, 0);
      const tensors = {
        m: zeros([Math.max(count, 1)]),
        remainder: zeros([Math.max(count, 1), 2], { dtype: "uint8" }),
        scales: zeros([Math.max(Math.ceil(count / 256), 1)]),
        step: zeros([1], { dtype: "int32" }),
      };
      return { rank, ranks, ranges, length, tensors };
    });
    fill(all.filter(({ ranges }) => ranges.length > 0));
    const place = fresh(`parts-random-${i}`);
    await write(place, all);
    const [alone] = parts(1);
    await readPart(place, "state", alone!);
    assert.deepEqual(await alone!.tensors["m"]!.read(), exact);

    const moved = all[owner[Math.floor(random * blocks)]!]!;
    const other = fresh(`parts-moved-${i}`);
    await saveFolder(other, async (folder) => {
      for (const part of all) {
        const { tensors, metadata } = partToWrite(part);
        const ranges = metadata["ranges"]!.replace(/^\d+/, (first) => String(Number(first) + 256));
        const says = part === moved ? { ...metadata, ranges } : metadata;
        await folder.safetensors(`${partName("state", part)}.safetensors`, tensors, says);
      }
    });
    await assert.rejects(readPart(other, "state", alone!), { code: "ERR_CHECKPOINT" });
  }
});

test("a file that is missing, another model's, a tensor too many: refused by name", async () => {
  const place = fresh("parts-wrong");
  await write(place, parts(2));
  const [alone] = parts(1);
  await assert.rejects(readPart(place, "state", { ...alone!, length: length + 64 }), {
    code: "ERR_CHECKPOINT",
    message: /00001-of-00002.*: length: expected 3072 elements, got 3008/,
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
    /v: expected F32 \[\d+\], got none/,
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
