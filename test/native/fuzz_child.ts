// fuzz_child SEED CALLS FILE: calls the addon's functions, one argument wrong at a time, and waits after each.
// What it is about to call is written to a file, so that whoever started it can name the call
// that ended it. A throw of anything but an error with a code ends it with exit code 1.
import { closeSync, openSync, writeSync } from "node:fs";
import { native, type Handle } from "../../ts/native/binding.js";
import { codeOf } from "../../ts/native/error.js";
import { calls, tensor } from "./calls.js";

const [seed, rounds, journal] = [
  Number(process.argv[2]),
  Number(process.argv[3]),
  process.argv[4]!,
];
const log = openSync(journal, "w");

/** mulberry32 */
function generator(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const next = generator(seed);
const below = (n: number) => Math.floor(next() * n);
const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;

const isHandle = (value: unknown): value is Handle => {
  try {
    native.tensorDisposed(value as Handle);
    return true;
  } catch {
    return false;
  }
};

const numbers = [
  0, -0, 1, -1, 2, 3, 0.5, 7, 255, 65536, 2 ** 20, 2 ** 31, -(2 ** 31), 2 ** 32 + 1, 2 ** 53,
  -(2 ** 53), 1e300, 1e-300, NaN, Infinity, -Infinity,
]; // prettier-ignore
const strings = ["", "float32", "bfloat16", "float16", "int32", "uint8", "cpu", "cuda:0", "emulated",
  "cuda:99", "none", "silu", "crop", "pad", "\0", "x".repeat(5000)]; // prettier-ignore

function detached(): Float32Array {
  const array = new Float32Array(6);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

/** Something of another kind altogether. */
function wrong(): unknown {
  return pick<() => unknown>([
    () => undefined,
    () => null,
    () => true,
    () => pick(numbers),
    () => pick(strings),
    () => BigInt(pick([0, -1, 1])) << BigInt(below(80)),
    () => ({}),
    () => [],
    () => [[]],
    () => [null, undefined],
    () => Array.from({ length: below(9) }, () => pick(numbers)),
    () => Object.assign([], { length: 2 ** 32 - 1 }),
    () => Array.from({ length: 1e5 }, () => 1),
    () => new Proxy([1, 2], {}),
    () => Symbol("s"),
    () => () => {},
    () => new Date(),
    () => detached().buffer,
    () => detached(),
    () => new ArrayBuffer(0),
    () => new Uint8Array(new SharedArrayBuffer(24)),
    () => new DataView(new ArrayBuffer(24), 3),
    () => new Float32Array(6),
    () => new Float64Array(3),
    () => new Int32Array([2 ** 31 - 1, -1, 5]),
    () => calls["tensorFileClose"]!("float32")[0], // an External that is no tensor
    () => tensor([2, 3]),
    () => [tensor([2, 3]), 1],
  ])();
}

/** Another tensor: shape, rank, dtype, place in memory or state changed. */
function otherTensor(t: Handle, all: readonly unknown[]): unknown {
  const shape = native.tensorShape(t);
  const dtype = native.tensorDType(t);
  const changed = shape.map((n, i) =>
    i === below(shape.length) ? pick([0, 1, n + 1, n * 2, 17]) : n,
  );
  return pick<() => unknown>([
    () => tensor(changed, dtype),
    () => tensor(changed, dtype),
    () => tensor(shape.slice(1), dtype),
    () => tensor([...shape, 1], dtype),
    () => tensor([1, ...shape].slice(0, 6), dtype),
    () => tensor(shape.toReversed(), dtype),
    () => tensor([], dtype),
    () => tensor([0], dtype),
    () =>
      native.tensorEmpty(shape, pick(["float32", "bfloat16", "float16", "int32", "uint8"]), "cpu"),
    () => {
      const gone = tensor(shape, dtype);
      native.tensorDispose(gone);
      return gone;
    },
    () => {
      // A view in the middle of something larger, at an odd element.
      const n = shape.reduce((a, b) => a * b, 1);
      return native.tensorView(tensor([n + 6], dtype), 3, shape);
    },
    () => {
      const odd = tensor(shape, dtype);
      if (dtype === "float32") native.fill(odd, pick([NaN, Infinity, -Infinity, 1e38]));
      if (dtype === "int32")
        return native.tensorFrom(
          new Int32Array(shape.reduce((a, b) => a * b, 1)).fill(
            pick([-1, 2 ** 31 - 1, -(2 ** 31), 100]),
          ),
          shape,
          dtype,
          "cpu",
        );
      return odd;
    },
    () => all.find((other) => isHandle(other) && other !== t) ?? t,
    () => all.findLast((other) => isHandle(other) && other !== t) ?? t,
    () => null,
  ])();
}

function mutated(value: unknown, all: readonly unknown[]): unknown {
  if (below(5) === 0) return wrong();
  if (isHandle(value)) return otherTensor(value, all);
  if (typeof value === "number") return pick(numbers);
  if (typeof value === "string") return pick(strings);
  if (typeof value === "boolean") return !value;
  if (typeof value === "bigint") return pick([0n, -1n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 70n)]);
  if (Array.isArray(value) && value.length < 1e6) {
    const copy: unknown[] = [...(value as unknown[])];
    const at = below(copy.length + 1);
    pick([
      () => copy.splice(at, 1),
      () => copy.splice(at, 0, copy[0]),
      () => (copy[at] = mutated(copy[at], all)),
      () => (copy[below(copy.length)] = pick(numbers)),
      () => copy.splice(0),
      () => copy.push(...(value as unknown[])),
      () =>
        Object.defineProperty(copy, 0, {
          get: () => {
            for (const other of all) if (isHandle(other)) native.tensorDispose(other);
            return pick(numbers);
          },
        }),
    ])();
    return copy;
  }
  return wrong();
}

/** Throws unless the failure is an error with a code. */
function judge(name: string, error: unknown): void {
  if (codeOf(error) === undefined)
    throw new Error(`${name}: an error without a code: ${String(error)}`, { cause: error });
}

const table = native as unknown as Record<string, (...args: unknown[]) => unknown>;
const names = Object.keys(calls);
const counts = { right: 0, refused: 0, failed: 0 };

for (let round = 0; round < rounds; ++round) {
  const name = names[round % names.length]!;
  const depth = native.scopeBegin();
  const args = calls[name]!(pick(["float32", "bfloat16"]));
  // The first time round each call is right, and has to be taken.
  const first = round < names.length;
  for (let changes = first ? 0 : 1 + below(2); changes > 0; --changes) {
    const at = below(args.length);
    if (below(20) === 0) args.splice(at, 1);
    else
      try {
        args[at] = mutated(args[at], args);
      } catch (error) {
        judge("making an argument", error);
      }
  }
  writeSync(log, `${round} ${name}\n`.padEnd(60), 0);
  try {
    const result = table[name]!(...args);
    if (result instanceof Promise) await result;
    ++counts.right;
  } catch (error) {
    // No library lies where it is told to look, and so no device has a seed, and ranks nothing to talk by.
    if (first && !/^(?:openEmulated|emulatedSeed|mpi|nccl|comm)/.test(name))
      throw new Error(`${name}: a right call was refused`, { cause: error });
    judge(name, error);
    ++counts.refused;
  }
  for (const open of [depth + 1, depth]) {
    try {
      native.scopeEnd(open, []);
    } catch (error) {
      judge("scopeEnd", error); // this one is not open
    }
  }
  try {
    await native.synchronize("cpu");
  } catch (error) {
    judge(name, error);
    ++counts.failed;
  }
}
closeSync(log);
console.log(JSON.stringify(counts));
