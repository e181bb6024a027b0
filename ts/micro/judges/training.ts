import { noGrad } from "../../autograd/tape.js";
import { linearLayer } from "../../nn/layers.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import { affine, batchNorm, batchStatistics, cast, conv2d, relu } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";
import { trunk, type JudgeKind, type Layer } from "./config.js";
import { Judge } from "./judge.js";
import { paddingOf, pool, trainingParameters } from "./layers.js";

/** A judge while it learns: convolutions with batch norms, whose statistics are each batch's own. */
export class LearningJudge {
  readonly parameters: ParameterSet;

  constructor(
    readonly kind: JudgeKind,
    options: ParameterSetOptions,
  ) {
    this.parameters = ParameterSet.create(trainingParameters(kind), options);
  }

  #convolve(layer: Layer, x: Tensor): Tensor {
    return conv2d(x, this.parameters.get(`${layer.name}.weight`), null, {
      stride: layer.stride,
      padding: paddingOf(layer),
    });
  }

  #norm({ name }: Layer): [w: Tensor, b: Tensor] {
    return [this.parameters.get(`${name}.norm.weight`), this.parameters.get(`${name}.norm.bias`)];
  }

  #input(images: Tensor): Tensor {
    return cast(affine(images, 2, -1), this.parameters.dtype);
  }

  /** Logits [B, outputs] of pictures [B, 64, 64, 3] in [0, 1]. */
  forward(images: Tensor): Tensor {
    let x = this.#input(images);
    for (const layer of trunk) x = relu(batchNorm(this.#convolve(layer, x), ...this.#norm(layer)));
    return linearLayer(this.parameters, "head", pool(x));
  }

  /** Each norm's statistics over a batch: mean and rstd of its channels, by layer. */
  #statistics(images: Tensor) {
    const all: ReturnType<typeof batchStatistics>[] = [];
    noGrad(() => {
      let x = this.#input(images);
      for (const layer of trunk) {
        const y = this.#convolve(layer, x);
        all.push(batchStatistics(y, ...this.#norm(layer)));
        x = relu(batchNorm(y, ...this.#norm(layer)));
      }
    });
    return Promise.all(all);
  }

  /**
   * The judge to keep: with g = w * rstd, each convolution becomes g * weight and its bias b - g * mean,
   * the statistics being means over these batches.
   *
   * @see Wu & Johnson 2021, arXiv:2105.07576: precise statistics in place of moving ones
   */
  async folded(batches: Iterable<() => Tensor>, options: ParameterSetOptions): Promise<Judge> {
    const totals = trunk.map(({ to }) => ({
      mean: new Float64Array(to),
      variance: new Float64Array(to),
    }));
    let count = 0;
    for (const batch of batches) {
      using scope = tensorScope();
      void scope;
      const found = await this.#statistics(batch());
      found.forEach(({ mean, rstd }, i) => {
        mean.forEach((v, c) => (totals[i]!.mean[c]! += v));
        rstd.forEach((v, c) => (totals[i]!.variance[c]! += 1 / (v * v)));
      });
      count += 1;
    }
    const judge = Judge.create(this.kind, options);
    for (const [i, layer] of trunk.entries())
      await this.#foldLayer(judge, layer, totals[i]!, count);
    for (const name of ["head.weight", "head.bias"])
      write(judge, name, await this.parameters.get(name).read());
    return judge;
  }

  async #foldLayer(
    judge: Judge,
    layer: Layer,
    { mean, variance }: { mean: Float64Array; variance: Float64Array },
    count: number,
  ): Promise<void> {
    const weight = await this.parameters.get(`${layer.name}.weight`).read();
    const [w, b] = this.#norm(layer);
    const [scales, shifts] = [await w.read(), await b.read()];
    const g = Float64Array.from(scales, (v, c) => v / Math.sqrt(variance[c]! / count));
    const each = weight.length / layer.to;
    write(
      judge,
      `${layer.name}.weight`,
      weight.map((v, i) => v * g[Math.floor(i / each)]!),
    );
    write(
      judge,
      `${layer.name}.bias`,
      shifts.map((v, c) => v - (g[c]! * mean[c]!) / count),
    );
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

function write(judge: Judge, name: string, values: Float32Array): void {
  using scope = tensorScope();
  void scope;
  const to = judge.parameters.get(name);
  to.copyFrom(tensor(values, to.shape, { dtype: to.dtype }));
}
