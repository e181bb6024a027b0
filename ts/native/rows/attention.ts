import type { Handle } from "../handle.js";

/** What cpp/binding/attention.cpp registers. */
export interface AttentionRows {
  /** out has so many columns `beside`, behind those that are written. */
  attentionForward(
    q: Handle,
    k: Handle,
    v: Handle,
    bias: Handle | null,
    keyMask: Handle | null,
    scale: number,
    causal: boolean,
    beside: number,
  ): [out: Handle, lse: Handle];
  /** dbias (float32) is added to. out may have columns beside attention's, dout has none. */
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
}
