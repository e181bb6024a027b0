import { GradientFactors } from "../autograd/factors.js";
import { SrpoError } from "../native/error.js";
import { momentBlock } from "../ops/index.js";
import { labelled, type Device } from "../tensor/device.js";
import { bytesOf } from "../tensor/dtype.js";
import { release } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { Arrivals } from "./arrivals.js";
import { CodedMatrices } from "./coded_matrices.js";
import { GradientSquares } from "./gradient_squares.js";
import { sizeOf, type Parameter } from "./parameter.js";

// Each parameter starts on a cache line, so that vector loads of one never straddle two.
const alignmentBytes = 64;

export interface ParameterSetOptions {
  /** Of the weights. Default float32. */
  dtype?: "float32" | "bfloat16";
  /** Default cpu. */
  device?: Device;
  /** Whether the weights take gradients. Default false: a frozen model has no gradient buffer. */
  trainable?: boolean;
  /**
   * Of the gradients: float32 (default), or with bfloat16 weights bfloat16 too. Each op adds to them in
   * float32 and rounds the sum to nearest.
   */
  gradDtype?: "float32" | "bfloat16";
  /**
   * Matrices whose gradients are kept as factors (`GradientFactors`), not in the buffer: those of layers that
   * see few rows, each used by `linear` alone. They lie behind all others in the flat buffers.
   */
  factored?: ((parameter: Parameter) => boolean) | undefined;
  /**
   * Without a flat buffer: a leaf's gradient is there from when backward first adds to it, where
   * `gradientMemory` has room for it, to `forgetGradient`. Default false.
   */
  passingGradients?: boolean;
  /**
   * Whether products of weights' gradients leave the squares of what those then hold, so that the norm does not
   * read them again. Nothing but backward may change the gradients then. Default false.
   */
  squares?: boolean;
  /** The flat buffers are filled up with zeros to a multiple of so many elements: equal parts for ranks. */
  multiple?: number;
  /** Which matrices of a frozen model are held in 8 bits; default none. */
  coded?: ((parameter: Parameter) => boolean) | undefined;
}

/** What linear layers add before their activation: a low-rank adapter. */
export interface LinearAdapter {
  readonly trainable: boolean;
  /** What to add to rows [start, start + count) of W x, or undefined for nothing. */
  delta(weight: string, x: Tensor, start: number, count: number): Tensor | undefined;
}

/** Where a parameter lies in the flat buffers, in elements. */
export interface ParameterRange {
  readonly parameter: Parameter;
  readonly offset: number;
  readonly size: number;
}

/** Where a leaf lies in the flat buffers, in elements: a parameter, or rows of it. */
export interface LeafPlace {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** Where gradients that pass lie for a while. */
export interface GradientMemory {
  /** A view for elements from `offset` on of a parameter, zeros where nothing was added yet; of no scope. */
  gradientAt(range: ParameterRange, offset: number, shape: readonly number[]): Tensor;
}

/** One whose gradient is kept as factors, behind those that have a buffer. */
export interface FactoredRange extends ParameterRange {
  readonly factors: GradientFactors;
}

/**
 * The weights of a model: views, in the order in which they were declared, of one flat buffer, and with
 * `trainable` their gradients at the same element offsets of a second one. What lies between
 * two parameters is zero in both. No scope frees them: they live until `dispose`.
 */
export class ParameterSet {
  readonly dtype: "float32" | "bfloat16";
  readonly device: Device;
  readonly ranges: readonly ParameterRange[];
  /** Those of them whose gradients are kept as factors. */
  readonly factored: readonly FactoredRange[];
  /** `weights`, with those in it that are still to arrive. */
  readonly buffer: Tensor;
  /**
   * Every gradient that is not `factored`, one dimension, filled up to `multiple`; undefined for a frozen model, and
   * where they pass.
   */
  readonly gradients: Tensor | undefined;
  /** What the norm of the gradients need not read; undefined without the option `squares`. */
  readonly squares: GradientSquares | undefined;
  /** The matrices that are held in 8 bits instead; undefined where there are none. */
  readonly coded: CodedMatrices | undefined;
  /** Elements of all parameters, padding left out. */
  readonly count: number;
  /** Of the flat buffers without what `multiple` adds: the same on any number of ranks. */
  readonly length: number;

  /** Whether the weights take gradients. */
  readonly trainable: boolean;
  /** Of the gradients. */
  readonly gradDtype: "float32" | "bfloat16";
  /** Weights on their way to this rank, which whoever reads them waits for. */
  readonly arrivals = new Arrivals();
  /** Of gradients that pass. */
  gradientMemory: GradientMemory | undefined;
  /** Of the linear layers that have these weights. */
  adapter: LinearAdapter | undefined;

  readonly #byName = new Map<string, ParameterRange>();
  readonly #views = new Map<string, Tensor>();
  readonly #places = new Map<Tensor, LeafPlace>();

  private constructor(
    parameters: readonly Parameter[],
    {
      dtype = "float32",
      device = "cpu",
      trainable = false,
      gradDtype = "float32",
      passingGradients = false,
      squares = false,
      multiple = 1,
      coded,
      factored,
    }: ParameterSetOptions,
  ) {
    const isCoded = (parameter: Parameter) => !trainable && coded?.(parameter) === true;
    const matrices = parameters.filter(isCoded);
    const aligned = alignmentBytes / bytesOf[dtype];
    let end = 0;
    const whole = parameters.filter((parameter) => !isCoded(parameter));
    const place = (parameter: Parameter, each: number): ParameterRange => {
      const offset = Math.ceil(end / each) * each;
      const range = { parameter, offset, size: sizeOf(parameter.shape) };
      if (this.#byName.has(parameter.name))
        throw new SrpoError("ERR_CONFIG", `parameters: ${parameter.name}: declared twice`);
      this.#byName.set(parameter.name, range);
      end = Math.ceil((offset + range.size) / aligned) * aligned;
      return range;
    };
    const isFactored = (parameter: Parameter) => trainable && factored?.(parameter) === true;
    for (const parameter of whole) if (!isFactored(parameter)) place(parameter, aligned);
    const dense = Math.ceil(end / momentBlock) * momentBlock;
    this.factored = whole.filter(isFactored).map((parameter) => ({
      ...place(parameter, momentBlock),
      factors: new GradientFactors(),
    }));
    const ranges = whole.map(({ name }) => this.#byName.get(name)!);
    this.dtype = dtype;
    this.device = device;
    this.ranges = ranges;
    this.count = parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    this.length = end;
    const padded = Math.ceil(end / multiple) * multiple;
    this.buffer = release(labelled("weights", () => zeros([padded], { dtype, device })));
    this.coded =
      matrices.length > 0
        ? labelled("weights", () => new CodedMatrices(matrices, dtype, device))
        : undefined;
    if (gradDtype === "bfloat16" && dtype === "float32")
      throw new SrpoError(
        "ERR_CONFIG",
        "gradDtype: expected float32 with float32 weights, got bfloat16",
      );
    const withBuffer = this.factored.length > 0 ? Math.ceil(dense / multiple) * multiple : padded;
    this.trainable = trainable;
    this.gradDtype = gradDtype;
    this.gradients =
      trainable && !passingGradients
        ? release(labelled("gradients", () => zeros([withBuffer], { dtype: gradDtype, device })))
        : undefined;
    const buffered = ranges.filter(({ parameter }) => !isFactored(parameter));
    this.squares =
      squares && this.gradients !== undefined
        ? labelled("gradients", () => GradientSquares.create(buffered, device))
        : undefined;
  }

  static create(parameters: readonly Parameter[], options: ParameterSetOptions = {}): ParameterSet {
    return new ParameterSet(parameters, options);
  }

  /** Whether a forward over these weights is to be differentiated: their own gradients, or the adapter's. */
  get learns(): boolean {
    return this.trainable || this.adapter?.trainable === true;
  }

  has(name: string): boolean {
    return this.#byName.has(name) || this.coded?.has(name) === true;
  }

  /** @throws SrpoError ERR_CONFIG for a name that was not declared, or is held in 8 bits */
  range(name: string): ParameterRange {
    const range = this.#byName.get(name);
    if (range === undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        this.coded?.has(name) === true
          ? `parameters: ${name}: expected whole weights, got a frozen model's 8 bits`
          : `parameters: ${name}: not declared by this model`,
      );
    return range;
  }

  /** A parameter as a leaf of the tape; one that is held in 8 bits is made anew in the current scope. */
  get(name: string): Tensor {
    if (this.coded?.has(name) === true) return this.coded.matrix(name);
    const range = this.range(name);
    const [N = 1] = range.parameter.shape;
    return this.#leaf(name, range, 0, N);
  }

  /** Rows [start, start + count) of a parameter as a leaf of their own, with their part of its gradient. */
  rows(name: string, start: number, count: number): Tensor {
    if (this.coded?.has(name) === true) return this.coded.rows(name, start, count);
    const range = this.range(name);
    const [all = 0] = range.parameter.shape;
    if (start < 0 || count < 1 || start + count > all)
      throw new SrpoError(
        "ERR_SHAPE",
        `parameters: ${name}: expected rows within ${all}, got ${count} from ${start}`,
      );
    if (this.#factorsOf(name) !== undefined)
      throw new SrpoError(
        "ERR_GRADIENT",
        `parameters: ${name}: expected to be used whole, its gradient is kept as factors`,
      );
    return this.#leaf(`${name}[${start}+${count}]`, range, start, count);
  }

  /** Rows [start, start + count) of a parameter. */
  #leaf(key: string, range: ParameterRange, start: number, count: number): Tensor {
    const [all = 1, ...rest] = range.parameter.shape;
    const offset = range.offset + (start * range.size) / all;
    const shape = [count, ...rest];
    const size = sizeOf(shape);
    this.arrivals.wait(offset, size);
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const leaf = release(this.buffer.viewOf(offset, shape));
    if (this.trainable) {
      leaf.requiresGrad = true;
      leaf.factors = this.#factorsOf(key);
      if (leaf.factors === undefined && this.gradients !== undefined)
        leaf.grad = release(this.gradients.viewOf(offset, shape));
      else if (leaf.factors === undefined)
        leaf.gradientFrom = () => this.gradientMemory?.gradientAt(range, offset, shape);
      leaf.squares = this.squares?.sinkOf(range, start, count);
    }
    this.#views.set(key, leaf);
    this.#places.set(leaf, { name: range.parameter.name, offset, size });
    return leaf;
  }

  /** Every weight that is not `coded`, one dimension; all that are on their way are waited for. */
  get weights(): Tensor {
    this.arrivals.waitForAll();
    return this.buffer;
  }

  /** Where a leaf lies in the flat buffers; undefined for a tensor that is no leaf of these. */
  placeOf(leaf: Tensor): LeafPlace | undefined {
    return this.#places.get(leaf);
  }

  /** Ends a leaf's view of a gradient that passes; it begins a new one when something is added to it. */
  forgetGradient(leaf: Tensor): void {
    if (this.gradients !== undefined) return;
    leaf.grad?.dispose();
    leaf.grad = undefined;
  }

  #factorsOf(name: string): GradientFactors | undefined {
    return this.factored.find(({ parameter }) => parameter.name === name)?.factors;
  }

  zeroGradients(): void {
    this.gradients?.zero();
    this.squares?.reset();
    for (const { factors } of this.factored) factors.clear();
  }

  /** Frees weights and gradients; the views given out are disposed of with them. */
  dispose(): void {
    for (const leaf of this.#views.values()) {
      leaf.grad?.dispose();
      leaf.dispose();
    }
    this.#views.clear();
    for (const { factors } of this.factored) factors.clear();
    this.arrivals.forget();
    this.buffer.dispose();
    this.coded?.dispose();
    this.gradients?.dispose();
    this.squares?.dispose();
  }
}
