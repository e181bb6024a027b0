import { gradients } from "../autograd/backward.js";
import { requireGrad } from "../autograd/tape.js";
import { toDisk } from "../nn/layout.js";
import { diskBytes, loadParameters, under } from "../nn/load.js";
import type { NamesMap } from "../nn/names_map.js";
import { sizeOf } from "../nn/parameter.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { cast } from "../ops/elementwise/cast.js";
import type { Device } from "../tensor/device.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import type { Comparison } from "./comparison.js";
import type { Fixture } from "./fixture.js";

/** Where a replay runs. */
export interface ReplaySettings {
  readonly device: Device;
  readonly dtype: "float32" | "bfloat16";
}

/** Runs one network on a fixture's inputs and adds a row to the comparison for each of its tensors. */
export type Replay = (run: ReplayRun) => Promise<void>;

/** How a tensor of the fixture lies here: pictures are [B, C, H, W] there and [B, H, W, C] here. */
export interface Arrangement {
  readonly picture?: boolean;
}

/** What replays share: inputs in, outputs and gradients out, all by their keys. */
export class ReplayRun {
  readonly fixture: Fixture;
  readonly comparison: Comparison;
  readonly settings: ReplaySettings;
  readonly #inputs = new Map<string, { leaf: Tensor; picture: boolean }>();

  constructor(fixture: Fixture, comparison: Comparison, settings: ReplaySettings) {
    this.fixture = fixture;
    this.comparison = comparison;
    this.settings = settings;
  }

  has(key: string): boolean {
    return this.fixture.keys.has(key);
  }

  /** Whether the fixture has gradients of the weights. */
  get trains(): boolean {
    return [...this.fixture.keys].some((key) => key.startsWith("grad.w."));
  }

  /** What a model's parameters are made with. */
  get parameterOptions() {
    return { ...this.settings, trainable: this.trains };
  }

  /** Any tensor of the fixture, in our order. */
  async tensor(
    key: string,
    {
      picture = false,
      dtype = this.settings.dtype,
    }: Arrangement & { dtype?: "float32" | "bfloat16" } = {},
  ): Promise<Tensor> {
    const [B = 1, C = 1, H = 1, W = 1] = this.fixture.shape(key);
    const shape = picture ? [B, H, W, C] : this.fixture.shape(key);
    const values = empty(shape, { dtype, device: this.settings.device });
    await this.fixture.source.readInto(key, values, picture ? { transposed: [C, H * W] } : {});
    return values;
  }

  /** `in.NAME`; a leaf of the tape if the fixture has its gradient. */
  async input(name: string, { picture = false, dtype }: Arrangement & { dtype?: "float32" } = {}) {
    const leaf = await this.tensor(`in.${name}`, { picture, ...(dtype && { dtype }) });
    const wanted = [...this.fixture.keys].some(
      (k) => k.startsWith("grad") && k.endsWith(`.in.${name}`),
    );
    if (wanted) this.#inputs.set(name, { leaf: requireGrad(leaf), picture });
    return leaf;
  }

  /** `in.NAME` as host numbers. */
  async numbers(name: string): Promise<number[]> {
    return [...(await this.fixture.values(`in.${name}`))];
  }

  /** `in.NAME` as rows of host numbers: token ids, positions. */
  async rows(name: string): Promise<number[][]> {
    const values = await this.numbers(name);
    const width = this.fixture.shape(`in.${name}`).at(-1)!;
    return Array.from({ length: values.length / width }, (_, i) =>
      values.slice(i * width, (i + 1) * width),
    );
  }

  /** Fills a model from the fixture's `w.` tensors. */
  load(set: ParameterSet, map: NamesMap, prefix = "w."): Promise<void> {
    return loadParameters(set, map, under(prefix, this.fixture.source));
  }

  /** Adds the row of a tensor. */
  async compare(
    key: string,
    actual: Tensor,
    { picture = false, tolerance }: Arrangement & { tolerance?: number } = {},
  ): Promise<void> {
    const values = picture ? await channelsFirst(actual) : await actual.read();
    await this.comparison.add(key, values, tolerance === undefined ? {} : { tolerance });
  }

  /** Adds the row of a tensor that fixtures may leave out. */
  async compareIfThere(key: string, actual: Tensor, how: Arrangement = {}): Promise<void> {
    if (this.has(key)) await this.compare(key, actual, how);
  }

  /** A collector of intermediates, and their rows (`mid.NAME`) once they are all there. */
  intermediates(how: Arrangement = {}): {
    trace: (name: string, t: Tensor) => void;
    compare: () => Promise<void>;
  } {
    const all: [string, Tensor][] = [];
    return {
      trace: (name, t) => void all.push([`mid.${name}`, t]),
      compare: async () => {
        for (const [key, t] of all) await this.compareIfThere(key, t, how);
      },
    };
  }

  /**
   * Adds the rows of `grad.in.*` and `grad.w.*`: the gradients of the sum of <out.X, g.X> over these
   * outputs.
   */
  async differentiate(
    outputs: Readonly<Record<string, Tensor>>,
    weights?: { set: ParameterSet; map: NamesMap },
    how: Arrangement & { prefix?: string } = {},
  ): Promise<void> {
    const prefix = how.prefix ?? "grad.";
    const named = Object.entries(outputs).filter(([name]) => this.has(`g.${name}`));
    if (![...this.fixture.keys].some((key) => key.startsWith(prefix)) || named.length === 0) return;
    const cotangents = [];
    for (const [name, output] of named) {
      const g = await this.tensor(`g.${name}`, { picture: how.picture ?? false, dtype: "float32" });
      cotangents.push(output.dtype === "float32" ? g : cast(g, output.dtype));
    }
    gradients(
      named.map(([, output]) => output),
      cotangents.map((g) => g.handle),
    );
    await this.compareInputGradients(prefix);
    if (weights !== undefined) await this.compareWeightGradients(weights.set, weights.map, prefix);
  }

  /** Adds the rows of `<prefix>in.*`, and clears these gradients for the next backward. */
  async compareInputGradients(prefix = "grad."): Promise<void> {
    for (const [name, { leaf, picture }] of this.#inputs) {
      const key = `${prefix}in.${name}`;
      if (!this.has(key)) continue;
      if (leaf.grad === undefined) this.comparison.fail(key, "no gradient flowed");
      else await this.compare(key, leaf.grad, { picture });
      leaf.grad?.zero();
    }
  }

  /** Adds the rows of `<prefix>w.*` under the names on disk. */
  async compareWeightGradients(
    set: ParameterSet,
    map: NamesMap,
    prefix = "grad.",
    among = "",
  ): Promise<void> {
    if (set.gradients === undefined) return;
    const all = new Uint8Array(await set.gradients.readBytes());
    for (const tensor of map.tensors) {
      const key = `${prefix}w.${among}${tensor.disk}`;
      if (!this.has(key)) continue;
      const bytes = diskBytes(set, tensor, all, 4).slice();
      await this.comparison.add(key, new Float32Array(bytes.buffer, 0, sizeOf(tensor.shape)));
    }
  }
}

/** A picture's values as [B, C, H, W]. */
export async function channelsFirst(t: Tensor): Promise<Float32Array> {
  const values = await t.read();
  const [B = 1, H = 1, W = 1, C = 1] = t.shape;
  const bytes = toDisk(new Uint8Array(values.buffer), 4, [B, C, H, W], "convolution");
  return new Float32Array(bytes.buffer, bytes.byteOffset, values.length);
}
