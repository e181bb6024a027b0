import { noGrad } from "../autograd/tape.js";
import { SrpoError } from "../native/error.js";
import { add, cast, concat, linear, matmul, scale } from "../ops/index.js";
import { tensorScope } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { ParameterSet, type LinearAdapter, type ParameterSetOptions } from "./parameter_set.js";
import { normal, type Parameter } from "./parameter.js";

/** One low-rank change of rows of a weight: W[row ... row + rows] += factor B A. */
export interface LoraPart {
  /** The weight that it changes. */
  readonly weight: string;
  readonly row: number;
  readonly rows: number;
  readonly inputs: number;
  readonly rank: number;
  /** alpha / rank */
  readonly factor: number;
}

/** The name of a part's matrices among the parameters of a `Lora`. */
export function loraName({ weight, row, rows }: LoraPart): string {
  return `${weight}[${row}+${rows}]`;
}

/**
 * A low-rank adapter of a model: y = W x + b + factor B (A x), with A [rank, inputs] and B [rows, rank]. It is
 * given to a model's weights as their `adapter`, or merged into them.
 *
 * @see LoRA: Hu et al., arXiv:2106.09685
 */
export class Lora implements LinearAdapter {
  readonly parameters: ParameterSet;
  /** How much of it is applied; 1 is all. */
  strength = 1;
  readonly #ofWeight = new Map<string, LoraPart[]>();

  constructor(
    readonly parts: readonly LoraPart[],
    options: ParameterSetOptions = {},
  ) {
    for (const part of parts) {
      const others = this.#ofWeight.get(part.weight) ?? [];
      const end = part.row + part.rows;
      if (others.some(({ row, rows }) => part.row < row + rows && row < end))
        throw new SrpoError("ERR_CHECKPOINT", `lora: ${loraName(part)}: expected once, got twice`);
      this.#ofWeight.set(
        part.weight,
        [...others, part].sort((a, b) => a.row - b.row),
      );
    }
    this.parameters = ParameterSet.create(
      parts.flatMap((part): Parameter[] => [
        normal(`${loraName(part)}.A`, [part.rank, part.inputs], part.inputs ** -0.5),
        { name: `${loraName(part)}.B`, shape: [part.rows, part.rank], init: { kind: "zeros" } },
      ]),
      options,
    );
  }

  get trainable(): boolean {
    return this.parameters.trainable;
  }

  delta(weight: string, x: Tensor, start: number, count: number): Tensor | undefined {
    const parts = (this.#ofWeight.get(weight) ?? []).filter(
      ({ row, rows }) => row < start + count && start < row + rows,
    );
    if (parts.length === 0) return undefined;
    const pieces: Tensor[] = [];
    let at = start;
    const fill = (to: number) => {
      const { dtype, device, shape } = x;
      if (to > at) pieces.push(zeros([...shape.slice(0, -1), to - at], { dtype, device }));
      at = to;
    };
    for (const part of parts) {
      const [from, to] = [Math.max(part.row, start), Math.min(part.row + part.rows, start + count)];
      fill(from);
      const name = loraName(part);
      const low = linear(x, this.parameters.get(`${name}.A`)); // [..., rank]
      const up = this.parameters.rows(`${name}.B`, from - part.row, to - from);
      pieces.push(linear(scale(low, part.factor * this.strength), up));
      at = to;
    }
    fill(start + count);
    return pieces.length === 1 ? pieces[0]! : concat(pieces, x.shape.length - 1);
  }

  /**
   * Adds factor B A to the weights that the set has, in float32, rounded once; the adapter is then no more needed.
   */
  mergeInto(set: ParameterSet): void {
    for (const part of this.parts.filter(({ weight }) => set.has(weight))) {
      using scope = tensorScope();
      void scope;
      const name = loraName(part);
      noGrad(() => {
        const [a, b] = ["A", "B"].map((m) => cast(this.parameters.get(`${name}.${m}`), "float32"));
        const change = scale(matmul(b!, a!), part.factor * this.strength); // [rows, inputs]
        const first = set.range(part.weight).offset + part.row * part.inputs;
        const rows = set.weights.viewOf(first, [part.rows, part.inputs]);
        rows.copyFrom(cast(add(cast(rows, "float32"), change), set.dtype));
      });
    }
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
