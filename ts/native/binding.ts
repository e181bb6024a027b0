// Everything the addon exports; cpp/binding registers these names and no others.
import { loadBinding } from "./load.js";

declare const handleBrand: unique symbol;
/** A tensor as the addon knows it: opaque, freed by its scope, by `tensorDispose` or with its last reference. */
export interface Handle {
  readonly [handleBrand]: true;
}

declare const fileBrand: unique symbol;
/** An open file of tensors as the addon knows it. */
export interface FileHandle {
  readonly [fileBrand]: true;
}

declare const commBrand: unique symbol;
/** A communicator as the addon knows it. */
export interface CommHandle {
  readonly [commBrand]: true;
}

/** How far a rank's collectives are. */
export interface CommProgress {
  readonly submitted: number;
  readonly started: number;
  readonly ended: number;
  /** Of the one that started last. */
  readonly name: string;
  readonly bytes: number;
  /** In those that have ended. */
  readonly seconds: number;
  /** For how many seconds the one that has not ended runs. */
  readonly running: number;
  /** An error behind a call that had returned. */
  readonly failure: string | null;
}

/** Where a tensor's elements lie in a file. */
export interface StoredTensor {
  readonly name: string;
  /** As safetensors names it. */
  readonly dtype: string;
  /** Of the first element, in bytes from the start of the file. */
  readonly offset: number;
  readonly elements: number;
  /** With `strides` (in elements) where they do not lie in the tensor's order; else both are empty. */
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

/** When each piece of a device's work ran, and what a GPU's own clock says of its kernels. */
export interface TakenProfile {
  readonly timer: string;
  /** Seconds of process.hrtime at the beginning; the times are microseconds from there. */
  readonly origin: number;
  /** Names of ops, and for each piece its op's place among them; NaN for a piece that has not run. */
  readonly ops: readonly string[];
  readonly op: Int32Array;
  readonly begin: Float64Array;
  readonly end: Float64Array;
  readonly kernels: readonly {
    readonly name: string;
    /** The piece that launched it, -1 if that is not known. */
    readonly piece: number;
    readonly begin: number;
    readonly end: number;
    readonly grid: readonly number[];
    readonly block: readonly number[];
    /** A thread. */
    readonly registers: number;
    /** A block. */
    readonly sharedBytes: number;
    /** Copied, of a copy. */
    readonly bytes: number;
  }[];
}

export interface Binding {
  // guarded.cpp
  setErrorClass(type: new (code: string, message: string) => Error): void;

  // tensor.cpp, wait.cpp
  tensorEmpty(shape: readonly number[], dtype: string, device: string): Handle;
  tensorZeros(shape: readonly number[], dtype: string, device: string): Handle;
  tensorFrom(
    data: ArrayBuffer | ArrayBufferView,
    shape: readonly number[],
    dtype: string,
    device: string,
  ): Handle;
  tensorView(tensor: Handle, offset: number, shape: readonly number[]): Handle;
  tensorShape(tensor: Handle): number[];
  tensorDType(tensor: Handle): string;
  tensorDevice(tensor: Handle): string;
  tensorCopy(to: Handle, from: Handle): void;
  tensorZero(tensor: Handle): void;
  tensorDispose(tensor: Handle): void;
  tensorDisposed(tensor: Handle): boolean;
  tensorRead(tensor: Handle): Promise<ArrayBuffer>;
  scopeBegin(): number;
  scopeEnd(depth: number, kept: readonly Handle[]): void;
  scopeRelease(released: readonly Handle[]): void;
  synchronize(device: string): Promise<void>;

  // runtime.cpp
  hasDevice(device: string): boolean;
  /** What the cuda device is, a line a card, or why there is none. */
  cudaText(): string;
  /** Makes the emulated device, from its library. */
  openEmulated(path: string): void;
  /** Other schedules of the emulated device from here on. */
  emulatedSeed(seed: number): void;
  cpuInstructionSet(): string;
  cpuThreads(): number;
  cpuSetThreads(count: number): void;
  poolStats(device: string): [inUse: number, cached: number, peak: number];
  poolTrim(device: string): void;
  /** 0 ends the limit. */
  poolLimit(device: string, bytes: number): void;
  memoryLabel(name: string | null): void;
  memoryLeft(device: string): [free: number, total: number];
  /** What is known of devices of its kind: what was found, or why there is none; may be empty. */
  deviceNote(device: string): string;
  opRows(device: string): Record<string, boolean>;

  // profile.cpp
  /** From now on the times of what is submitted to the device are taken; while it is idle. */
  profileBegin(device: string, timer: string): void;
  /** Pieces of work submitted since. */
  profileSize(device: string): number;
  profileEnd(device: string): TakenProfile;
  /** A stage, for tools that watch a GPU from outside. */
  rangePush(device: string, name: string): void;
  rangePop(device: string): void;

  // gemm.cpp
  linearForward(
    x: Handle,
    w: Handle,
    b: Handle | null,
    residual: Handle | null,
    gate: Handle | null,
    act: string,
    save: boolean,
  ): [y: Handle, pre: Handle | null];
  /** dw and db (float32) are added to. With inputPre, x is inputAct of it, and dx is its gradient. */
  linearBackward(
    dy: Handle,
    x: Handle,
    w: Handle,
    pre: Handle | null,
    gate: Handle | null,
    act: string,
    dw: Handle | null,
    db: Handle | null,
    wantsDx: boolean,
    wantsDgate: boolean,
    inputPre: Handle | null,
    inputAct: string,
  ): [dx: Handle | null, dgate: Handle | null];
  matmulForward(a: Handle, b: Handle, transposeA: boolean, transposeB: boolean): Handle;

  // elementwise.cpp
  /** into (float32) += from */
  accumulate(into: Handle, from: Handle): void;
  addForward(a: Handle, b: Handle): Handle;
  cast(x: Handle, dtype: string): Handle;
  subForward(a: Handle, b: Handle): Handle;
  mulForward(a: Handle, b: Handle): Handle;
  siluForward(x: Handle): Handle;
  siluBackward(dy: Handle, x: Handle): Handle;
  geluTanhForward(x: Handle): Handle;
  geluTanhBackward(dy: Handle, x: Handle): Handle;
  geluErfForward(x: Handle): Handle;
  geluErfBackward(dy: Handle, x: Handle): Handle;
  quickGeluForward(x: Handle): Handle;
  quickGeluBackward(dy: Handle, x: Handle): Handle;
  reluForward(x: Handle): Handle;
  reluBackward(dy: Handle, x: Handle): Handle;
  expForward(x: Handle): Handle;
  expBackward(dy: Handle, x: Handle): Handle;
  clampForward(x: Handle, lo: number, hi: number): Handle;
  clampBackward(dy: Handle, x: Handle, lo: number, hi: number): Handle;
  affineForward(x: Handle, a: number, b: number): Handle;
  scaleForward(x: Handle, s: number): Handle;
  gatedResidualForward(x: Handle, gate: Handle, y: Handle): Handle;
  gatedResidualBackward(
    dout: Handle,
    gate: Handle,
    y: Handle,
    wantsDgate: boolean,
    wantsDy: boolean,
  ): [dgate: Handle | null, dy: Handle | null];
  combineForward(
    x: Handle,
    y: Handle | null,
    cx: readonly number[],
    cy: readonly number[],
    dtype: string,
  ): Handle;
  timestepEmbedding(t: readonly number[], dim: number, dtype: string, device: string): Handle;
  /** Every element of t = value */
  fill(t: Handle, value: number): void;

  // conv.cpp
  /** Statistics [B, groups, 2] (mean, variance) of y's groups, if groups are given. */
  conv2dForward(
    x: Handle,
    w: Handle,
    b: Handle | null,
    residual: Handle | null,
    stride: number,
    padding: readonly number[],
    upsample: boolean,
    groups: number | null,
  ): [y: Handle, statistics: Handle | null];
  /** Adds to dw and db (float32); dx if wanted. */
  conv2dBackward(
    dy: Handle,
    x: Handle,
    w: Handle,
    dw: Handle | null,
    db: Handle | null,
    wantsDx: boolean,
    stride: number,
    padding: readonly number[],
    upsample: boolean,
  ): Handle | null;
  // layout.cpp
  concatForward(xs: readonly Handle[], dim: number): Handle;
  sliceForward(x: Handle, dim: number, start: number, length: number): Handle;
  sliceBackward(dy: Handle, shapeOfX: readonly number[], dim: number, start: number): Handle;
  gatherRowsForward(x: Handle, index: readonly number[]): Handle;
  gatherRowsBackward(dy: Handle, index: readonly number[], rows: number): Handle;
  prependRowForward(x: Handle, row: Handle): Handle;
  /** Adds to drow. */
  prependRowBackward(drow: Handle | null, dy: Handle, wantsDx: boolean): Handle | null;
  addRowsForward(x: Handle, rows: Handle): Handle;
  /** Adds to drows. */
  addRowsBackward(drows: Handle, dy: Handle): void;

  // embedding.cpp
  embeddingForward(
    table: Handle,
    ids: readonly number[] | Int32Array,
    shape: readonly number[],
  ): [y: Handle, ids: Handle];
  /** Adds to dtable. */
  embeddingBackward(dtable: Handle, dy: Handle, ids: Handle): void;
  // io.cpp
  /** Opens a file and checks its header; the tensors come in the order of their data. */
  safetensorsOpen(path: string): {
    file: FileHandle;
    metadata: [key: string, value: string][];
    tensors: { name: string; dtype: string; shape: number[]; bytes: number }[];
  };
  /** Opens a file whose tensors were found elsewhere; places that are not within it are refused. */
  tensorFileOpen(path: string, tensors: readonly StoredTensor[]): FileHandle;
  tensorFileReadInto(
    file: FileHandle,
    index: number,
    first: number,
    tensor: Handle,
    channels: number,
    taps: number,
    scale: number,
  ): void;
  /** The value of a tensor of one float element, read at once. */
  tensorFileScalar(file: FileHandle, index: number): number;
  tensorFileClose(file: FileHandle): void;
  /** Float32 bytes as F8_E4M3 and the scale that takes their largest to 448. */
  float8Encode(name: string, floats: Uint8Array): { bytes: Uint8Array<ArrayBuffer>; scale: number };

  // resample.cpp
  patchify(picture: Handle, patch: number, name: string, argument: string): Handle;
  unpatchify(
    tokens: Handle,
    height: number,
    width: number,
    patch: number,
    name: string,
    argument: string,
  ): Handle;
  resizeCropNormalizeForward(
    image: Handle,
    size: number,
    fit: "crop" | "stretch" | "pad",
    antialias: boolean,
    mean: readonly number[],
    std: readonly number[],
  ): Handle;
  resizeCropNormalizeBackward(
    dy: Handle,
    imageShape: readonly number[],
    fit: "crop" | "stretch" | "pad",
    antialias: boolean,
    std: readonly number[],
  ): Handle;

  // recovery.cpp
  recoverForward(
    clean: Handle,
    noise: Handle,
    velocity: Handle,
    g: readonly number[],
    height: number,
    width: number,
    scalingFactor: number,
    shiftFactor: number,
  ): Handle;
  recoverBackward(dz: Handle, g: readonly number[], scalingFactor: number): Handle;

  // norm.cpp
  groupNormForward(
    x: Handle,
    w: Handle,
    b: Handle,
    statistics: Handle | null,
    groups: number,
    eps: number,
    silu: boolean,
  ): [y: Handle, mean: Handle, rstd: Handle];
  /** Adds to dw and db. */
  groupNormBackward(
    dw: Handle | null,
    db: Handle | null,
    dy: Handle,
    x: Handle,
    w: Handle,
    b: Handle,
    mean: Handle,
    rstd: Handle,
    silu: boolean,
    wantsDx: boolean,
  ): Handle | null;
  modulatedLayerNormForward(
    x: Handle,
    scale: Handle,
    shift: Handle,
    eps: number,
  ): [y: Handle, mean: Handle, rstd: Handle];
  modulatedLayerNormBackward(
    dy: Handle,
    x: Handle,
    scale: Handle,
    mean: Handle,
    rstd: Handle,
  ): [dx: Handle, dscale: Handle, dshift: Handle];
  layerNormForward(
    x: Handle,
    w: Handle | null,
    b: Handle | null,
    eps: number,
  ): [y: Handle, mean: Handle, rstd: Handle];
  /** Adds to dw and db. */
  layerNormBackward(
    dw: Handle | null,
    db: Handle | null,
    dy: Handle,
    x: Handle,
    w: Handle | null,
    mean: Handle,
    rstd: Handle,
    wantsDx: boolean,
  ): Handle | null;
  rmsNormForward(x: Handle, w: Handle | null, eps: number): [y: Handle, rstd: Handle];
  /** Adds to dw. */
  rmsNormBackward(
    dw: Handle | null,
    dy: Handle,
    x: Handle,
    w: Handle | null,
    rstd: Handle,
    wantsDx: boolean,
  ): Handle | null;

  // attention.cpp
  attentionForward(
    q: Handle,
    k: Handle,
    v: Handle,
    bias: Handle | null,
    keyMask: Handle | null,
    scale: number,
    causal: boolean,
  ): [out: Handle, lse: Handle];
  /** dbias (float32) is added to. */
  attentionBackward(
    dout: Handle,
    out: Handle,
    lse: Handle,
    q: Handle,
    k: Handle,
    v: Handle,
    bias: Handle | null,
    keyMask: Handle | null,
    scale: number,
    causal: boolean,
    dbias: Handle | null,
  ): [dq: Handle, dk: Handle, dv: Handle];
  qkvNormRopeForward(
    qkvs: readonly Handle[],
    qScales: readonly (Handle | null)[],
    kScales: readonly (Handle | null)[],
    cos: Handle | null,
    sin: Handle | null,
    heads: number,
    eps: number,
  ): [q: Handle, k: Handle, v: Handle, qRstd: Handle | null, kRstd: Handle | null];
  /** dqScales and dkScales (float32) are added to. */
  qkvNormRopeBackward(
    qkvs: readonly Handle[],
    qScales: readonly (Handle | null)[],
    kScales: readonly (Handle | null)[],
    cos: Handle | null,
    sin: Handle | null,
    dq: Handle,
    dk: Handle,
    dv: Handle,
    qRstd: Handle | null,
    kRstd: Handle | null,
    dqScales: readonly (Handle | null)[],
    dkScales: readonly (Handle | null)[],
  ): Handle[];
  /** Without gradient. */
  qkvProjection(
    xs: readonly Handle[],
    ws: readonly Handle[],
    bs: readonly (Handle | null)[],
    qScales: readonly (Handle | null)[],
    kScales: readonly (Handle | null)[],
    cos: Handle | null,
    sin: Handle | null,
    heads: number,
    eps: number,
  ): [q: Handle, k: Handle, v: Handle];
  relativeBiasForward(table: Handle, L: number, maxDistance: number): Handle;
  /** dtable (float32) is added to. */
  relativeBiasBackward(dbias: Handle, dtable: Handle, maxDistance: number): void;
  // random.cpp
  randn(
    shape: readonly number[],
    seed: bigint,
    purpose: number,
    step: number,
    samples: readonly number[],
    offset: number,
    dtype: string,
    device: string,
  ): Handle;
  rand(
    shape: readonly number[],
    seed: bigint,
    purpose: number,
    step: number,
    samples: readonly number[],
    offset: number,
    dtype: string,
    device: string,
  ): Handle;
  randomBits(
    shape: readonly number[],
    seed: bigint,
    purpose: number,
    step: number,
    samples: readonly number[],
    offset: number,
    dtype: string,
    device: string,
  ): Handle;

  // loss.cpp
  sumForward(x: Handle): Handle;
  sumBackward(dy: Handle, x: Handle): Handle;
  meanForward(x: Handle): Handle;
  meanBackward(dy: Handle, x: Handle): Handle;
  hingeForward(reward: Handle, margin: number, weight: number): Handle;
  hingeBackward(dy: Handle, reward: Handle, margin: number, weight: number): Handle;
  mseForward(a: Handle, b: Handle): Handle;
  mseBackward(
    dy: Handle,
    a: Handle,
    b: Handle,
    wantsDa: boolean,
    wantsDb: boolean,
  ): [da: Handle | null, db: Handle | null];
  softmaxCrossEntropyForward(logits: Handle, target: Handle): [y: Handle, lse: Handle];
  softmaxCrossEntropyBackward(dy: Handle, logits: Handle, target: Handle, lse: Handle): Handle;
  gaussianLogDensityForward(x: Handle, mean: Handle, std: readonly number[]): Handle;
  gaussianLogDensityBackward(
    dy: Handle,
    x: Handle,
    mean: Handle,
    std: readonly number[],
    wantsDx: boolean,
    wantsDmean: boolean,
  ): [dx: Handle | null, dmean: Handle | null];

  // reward.cpp
  l2NormalizeForward(x: Handle, eps: number): [y: Handle, norm: Handle];
  l2NormalizeBackward(dy: Handle, x: Handle, norm: Handle, eps: number): Handle;
  relativeRewardForward(
    pooled: Handle,
    projection: Handle,
    positive: Handle,
    negative: Handle,
    k: readonly number[],
    scale: number,
  ): [reward: Handle, features: Handle, norm: Handle];
  /** Adds to dprojection. */
  relativeRewardBackward(
    dprojection: Handle | null,
    dreward: Handle | null,
    dfeatures: Handle | null,
    features: Handle,
    norm: Handle,
    pooled: Handle,
    projection: Handle,
    positive: Handle,
    negative: Handle,
    k: readonly number[],
    scale: number,
    wantsDpooled: boolean,
  ): Handle | null;

  // update.cpp
  globalNorm(grad: Handle): Handle;
  factoredNorm(dy: Handle, x: Handle): Handle;
  countNonFinite(counter: Handle, norm: Handle): void;
  clip(grad: Handle, norm: Handle, maxNorm: number): void;
  quantizeRows(x: Handle, codes: Handle, scales: Handle): void;
  dequantizeRows(codes: Handle, scales: Handle, dtype: string): Handle;
  splitMaster(master: Handle, weights: Handle, remainder: Handle): void;
  joinMaster(weights: Handle, remainder: Handle): Handle;
  adamwStep(
    weights: Handle,
    remainder: Handle | null,
    m: Handle,
    v: Handle,
    mScale: Handle | null,
    vScale: Handle | null,
    grad: Handle | null,
    gradNorm: Handle | null,
    skipped: Handle | null,
    lr: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    maxGradNorm: number,
    step: number,
    seed: bigint | undefined,
    purpose: number,
    offset: number,
    momentSeed: bigint | undefined,
    momentPurpose: number,
    momentOffset: number,
    dy: Handle | null,
    x: Handle | null,
    first: number,
  ): void;
  emaUpdate(ema: Handle, weights: Handle, remainder: Handle | null, decay: number): void;

  // comm.cpp
  /** Opens the MPI library at `path` and begins MPI. */
  mpiBegin(path: string): [rank: number, size: number];
  mpiVersion(path: string): string;
  /** Root's bytes to all, at once, before anything is enqueued. */
  mpiShare(bytes: Uint8Array, root: number): void;
  commOpenMpi(path: string, device: string): CommHandle;
  /** Opens libnccl at `path`, or where the loader finds it if that is empty. */
  ncclVersion(path: string): string;
  ncclId(path: string): Uint8Array;
  commOpenNccl(
    path: string,
    device: string,
    rank: number,
    size: number,
    id: Uint8Array,
  ): Promise<CommHandle>;
  commAllReduce(communicator: CommHandle, t: Handle, max: boolean): void;
  commReduceScatter(communicator: CommHandle, input: Handle, output: Handle): void;
  commAllGather(communicator: CommHandle, input: Handle, output: Handle): void;
  commBroadcast(communicator: CommHandle, t: Handle, root: number): void;
  commBarrier(communicator: CommHandle): Promise<void>;
  commProgress(communicator: CommHandle): CommProgress;
  commClose(communicator: CommHandle): void;
  /** Keeps a connection alive, and ends it when nothing was acknowledged for so long. */
  tcpCutOff(descriptor: number, ms: number): boolean;
  /** Ends the process, whatever the devices' threads are waiting for. */
  leaveAtOnce(code: number): never;

  // micro.cpp
  /** Pictures [B, S, S, 3] of the micro world, and the object's share of each pixel [B, S, S] if wanted. */
  microRender(
    seed: bigint,
    purpose: number,
    step: number,
    scenes: readonly number[],
    attributes: readonly number[],
    styles: readonly number[],
    size: number,
    dtype: string,
    coverage: boolean,
  ): [pictures: Handle, coverage: Handle | null];
}

export const native: Binding = loadBinding();
