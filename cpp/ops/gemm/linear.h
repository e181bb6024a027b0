#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"
#include "cpp/ops/activation_kind.h"

namespace srpo {

/// pre = x w^T + b,   a = activation(pre),   y = residual + gate * a. M is the product of x's leading
/// sizes; sample s of the gate's S holds rows [s M / S, (s + 1) M / S).
struct LinearForward {
  TensorView y;         // [M.., N]     out; or wider, without residual and gate: its last N columns
  TensorView pre;       // [M.., N]     out, or not given: pre, for backward
  TensorView x;         // [M.., K]
  TensorView w;         // [N, K]
  TensorView b;         // [N]          or not given
  TensorView residual;  // [M.., N]     or not given
  TensorView gate;      // [S, N]       or not given
  ActivationKind activation;
};

/// dx, dgate and dpre are written; dw and db are added to, in float, with one rounding at the end where dw
/// is bfloat16; squares is written: of each block of 16 rows and 64 columns of dw, the sum of the squares of
/// what it then holds. What is not given is not computed. With input_pre, of which x is the activation, dx is the
/// gradient of input_pre. dx may be of x's last columns alone, and so is input_pre then: the gradient of
/// those before them, C of them, is written to dx_before.
struct LinearBackward {
  TensorView dx;       // [M.., K - C]        out
  TensorView dw;       // [N, K]       float, or with x bfloat16 too  in and out
  TensorView db;       // [N]          float  in and out
  TensorView squares;  // [ceil(N / 16), ceil(K / 64)]  float  out, or not given
  TensorView dgate;    // [S, N]              out
  TensorView dpre;     // [M.., N]            scratch, given if there is an activation or a gate
  TensorView dy;       // [M.., N]
  TensorView x;        // [M.., K]
  TensorView w;        // [N, K]
  TensorView pre;      // [M.., N]            given if there is an activation, or dgate is wanted
  TensorView gate;     // [S, N]              or not given
  ActivationKind activation;
  TensorView input_pre;  // [M.., K - C]    or not given
  ActivationKind input_activation;
  TensorView dx_before;  // [M.., C]        out; not given: C is 0
};

/// Two linears in one call, which a column may run in one launch. They do not read what the other writes; what
/// both add to is added to one after the other.
struct LinearPairForward {
  LinearForward first, second;
};
struct LinearPairBackward {
  LinearBackward first, second;
};

void linear_forward(const LinearForward& op, Stream& stream);
void linear_backward(const LinearBackward& op, Stream& stream);
void linear_pair_forward(const LinearPairForward& op, Stream& stream);
void linear_pair_backward(const LinearPairBackward& op, Stream& stream);

}  // namespace srpo
