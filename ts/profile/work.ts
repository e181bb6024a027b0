// What a call of the addon asks for, from its arguments: shapes, bytes, and operations where they are known.
import { isExternal } from "node:util/types";
import { native, type Handle } from "../native/binding.js";
import { bytesOf, type DType } from "../tensor/dtype.js";

export interface Work {
  /** Shapes and dtype of the tensors that it took, in their order: "[2, 84, 128] x [384, 128] bfloat16". */
  shapes: string;
  /** Of all tensors that it took or gave: the least that must move if each is touched once. */
  bytes: number;
  /** Floating-point operations, two a multiply-add; undefined where nobody counts them. */
  flops?: number;
}

type Shape = readonly number[];

const product = (shape: Shape): number => shape.reduce((n, size) => n * size, 1);
const isHandle = (value: unknown): value is Handle => isExternal(value);

function handlesIn(values: readonly unknown[]): Handle[] {
  return values.flatMap((value) =>
    isHandle(value) ? [value] : Array.isArray(value) ? value.filter(isHandle) : [],
  );
}

// By the names of the binding: the shapes of its tensors in order, and what it gives. An op that is not
// here moves bytes more than it computes.
const flopsOf: Readonly<
  Record<string, (given: readonly (Shape | undefined)[], made: readonly Shape[]) => number>
> = {
  // x [..., K], w [N, K]
  linearForward: ([x, w]) => 2 * product(x!) * w![0]!,
  // dy, x, w, pre, gate, act, dw, db, wantsDx: one product each for dx and dw
  linearBackward: ([, x, w, , , , dw], made) =>
    2 * product(x!) * w![0]! * ((dw === undefined ? 0 : 1) + (made.length > 0 ? 1 : 0)),
  matmulForward: ([a, b], [y]) =>
    2 * product(y!) * Math.sqrt((product(a!) * product(b!)) / product(y!) / batchOf(y!)),
  // q, k [B, N, L, Dh]: two products; backward five
  attentionForward: ([q, k]) => 4 * product(q!) * k![2]!,
  attentionBackward: ([, , , q, k]) => 10 * product(q!) * k![2]!,
  // x [B, H, W, Cin], w [Cout, kh, kw, Cin], y [B, Ho, Wo, Cout]
  conv2dForward: ([, w], [y]) => 2 * product(y!) * product(w!.slice(1)),
  // dy, x, w, dw, db, wantsDx
  conv2dBackward: ([dy, , w, dw], made) =>
    2 *
    product(dy!) *
    product(w!.slice(1)) *
    ((dw === undefined ? 0 : 1) + (made.length > 0 ? 1 : 0)),
};

/** Leading dimensions of a batched matrix: the product's K is sqrt(|a| |b| / |y| / batch). */
function batchOf(y: Shape): number {
  return product(y.slice(0, -2));
}

// Elements that are not touched, where an op takes or gives some columns of a wider tensor.
const besideOf: Readonly<
  Record<string, (given: readonly (Shape | undefined)[], made: readonly Shape[]) => number>
> = {
  // q, ..; out [B, L, N*Dh or more]
  attentionForward: ([q], [out]) => product(out!) - product(q!),
  // dout, out
  attentionBackward: ([dout, out]) => product(out!) - product(dout!),
  // x, w, .., into: it is what is given, too
  linearForward: ([x, w, , , , , , into]) =>
    into === undefined ? 0 : 2 * product(into) - (product(x!) / x!.at(-1)!) * w![0]!,
};

// Two calls in one: which function's, and how much of the result is of each.
const pairOf: Readonly<Record<string, { of: string; gives: number }>> = {
  linearPairForward: { of: "linearForward", gives: 2 },
  linearPairBackward: { of: "linearBackward", gives: 3 },
};

/** What a call of the binding's function `name` asked for. */
export function workOf(name: string, args: readonly unknown[], result: unknown): Work {
  const pair = pairOf[name];
  if (pair === undefined || !args.every(Array.isArray) || !Array.isArray(result))
    return workOfOne(name, args, result);
  const [first, second] = (args as unknown[][]).map((each, i) =>
    workOfOne(pair.of, each, result.slice(i * pair.gives, (i + 1) * pair.gives)),
  );
  return {
    shapes: `${first!.shapes} | ${second!.shapes}`,
    bytes: first!.bytes + second!.bytes,
    flops: first!.flops! + second!.flops!,
  };
}

function workOfOne(name: string, args: readonly unknown[], result: unknown): Work {
  const taken = handlesIn(args);
  const given = handlesIn(Array.isArray(result) ? result : [result]);
  const shape = (t: Handle): number[] => native.tensorShape(t);
  const all = [...taken, ...given];
  const shapesOfArguments = args.map((value) => (isHandle(value) ? shape(value) : undefined));
  const beside = besideOf[name]?.(shapesOfArguments, given.map(shape)) ?? 0;
  const elementBytes = (t: Handle) => bytesOf[native.tensorDType(t) as DType];
  const bytes =
    all.reduce((sum, t) => sum + product(shape(t)) * elementBytes(t), 0) -
    (beside > 0 ? beside * elementBytes(all[0]!) : 0);
  const shapes = (taken.length > 0 ? taken : given)
    .map((t) => `[${shape(t).join(", ")}]`)
    .join(" x ");
  const count = flopsOf[name]?.(shapesOfArguments, given.map(shape));
  return {
    shapes: all.length === 0 ? "" : `${shapes} ${native.tensorDType(all[0]!)}`,
    bytes,
    ...(count === undefined ? {} : { flops: count }),
  };
}
