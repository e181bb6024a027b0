// Everything the addon exports, a file for each of cpp/binding: it registers these names and no others.
import { loadBinding } from "./load.js";
import type { AttentionRows } from "./rows/attention.js";
import type { CommRows } from "./rows/comm.js";
import type { ConvRows } from "./rows/conv.js";
import type { ElementwiseRows } from "./rows/elementwise.js";
import type { EmbeddingRows } from "./rows/embedding.js";
import type { GemmRows } from "./rows/gemm.js";
import type { IoRows } from "./rows/io.js";
import type { LayoutRows } from "./rows/layout.js";
import type { LossRows } from "./rows/loss.js";
import type { MicroRows } from "./rows/micro.js";
import type { NormRows } from "./rows/norm.js";
import type { ProfileRows } from "./rows/profile.js";
import type { QuantizeRows } from "./rows/quantize.js";
import type { RandomRows } from "./rows/random.js";
import type { RecoveryRows } from "./rows/recovery.js";
import type { ResampleRows } from "./rows/resample.js";
import type { RewardRows } from "./rows/reward.js";
import type { RuntimeRows } from "./rows/runtime.js";
import type { TensorRows } from "./rows/tensor.js";
import type { UpdateRows } from "./rows/update.js";

export type { Handle } from "./handle.js";
export type { CommHandle, CommProgress, PendingHandle } from "./rows/comm.js";
export type { FileHandle, StoredTensor } from "./rows/io.js";
export type { TakenProfile } from "./rows/profile.js";

export interface Binding
  extends
    AttentionRows,
    CommRows,
    ConvRows,
    ElementwiseRows,
    EmbeddingRows,
    GemmRows,
    IoRows,
    LayoutRows,
    LossRows,
    MicroRows,
    NormRows,
    ProfileRows,
    QuantizeRows,
    RandomRows,
    RecoveryRows,
    ResampleRows,
    RewardRows,
    RuntimeRows,
    TensorRows,
    UpdateRows {}

export const native: Binding = loadBinding();
