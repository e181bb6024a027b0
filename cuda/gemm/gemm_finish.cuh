// What becomes of a tile's sums, by Ending:
//
//   kAdd      out += sums, in float
//   kStore    out = sums, in bfloat16
//   kJoin     out = residual + sums
//   kFinish   pre = sums + bias,   out = residual + gate * activation(pre)
//   kHeads    q, k and v: gemm_heads.cuh
//   kSlope    out = sums * activation'(derivative_of), but the first columns to `before` as they are
//   kSquares  out += sums, in float, and squares = those of what out then is
//
// The residual, or derivative_of or out itself in its place, comes while the products are computed.
#pragma once
#include "cuda/common/activation.cuh"
#include "cuda/common/warp.cuh"
#include "cuda/gemm/gemm_outlet.cuh"

namespace srpo::cuda {

template <ActivationKind kind>
SRPO_DEVICE void activate_all(float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 16; ++i) v[i] = activate<kind, true>(v[i]);
}

SRPO_DEVICE void activate_all(ActivationKind kind, float (&v)[16]) {
  switch (kind) {
    case ActivationKind::kNone:
      return;
    case ActivationKind::kGeluTanh:
      return activate_all<ActivationKind::kGeluTanh>(v);
    case ActivationKind::kGeluErf:
      return activate_all<ActivationKind::kGeluErf>(v);
    case ActivationKind::kQuickGelu:
      return activate_all<ActivationKind::kQuickGelu>(v);
    case ActivationKind::kSilu:
      return activate_all<ActivationKind::kSilu>(v);
  }
}

/// v times the activation's slopes at what the buffer has.
template <ActivationKind kind>
SRPO_DEVICE void multiply_slopes(float (&v)[16], unsigned char* buffer) {
  with_bfloat16(v, buffer,
                [](float& value, float at) { value *= activation_derivative<kind, true>(at); });
}

SRPO_DEVICE void multiply_slopes(ActivationKind kind, float (&v)[16], unsigned char* buffer) {
  switch (kind) {
    case ActivationKind::kNone:
      return;
    case ActivationKind::kGeluTanh:
      return multiply_slopes<ActivationKind::kGeluTanh>(v, buffer);
    case ActivationKind::kGeluErf:
      return multiply_slopes<ActivationKind::kGeluErf>(v, buffer);
    case ActivationKind::kQuickGelu:
      return multiply_slopes<ActivationKind::kQuickGelu>(v, buffer);
    case ActivationKind::kSilu:
      return multiply_slopes<ActivationKind::kSilu>(v, buffer);
  }
}

/// f(a value of row g, or g + 8 if `h` is 1, what `row` has in its column), within `columns`.
template <typename F>
SRPO_DEVICE void with_row(float (&v)[16], const bfloat16* row, int h, int columns, const F& f) {
  const int first = own_column(consumer_thread());
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (8 * j + first < columns) {
      float pair[2];
      load_pack<2>(pair, row + 8 * j + first);
      f(v[4 * j + 2 * h], pair[0]);
      f(v[4 * j + 2 * h + 1], pair[1]);
    }
}

/// gate * activation(v + bias) of the values from (row, column) on; pre to the second half of the buffer.
SRPO_DEVICE void finish(float (&v)[16], const GemmParameters& p, unsigned char* buffer,
                        const Coordinates<3>& first) {
  const GemmOutput& asked = p.asked();
  const int column = first.at[0], columns = p.N - column;
#pragma unroll
  for (int h = 0; h < 2 && asked.bias != nullptr; ++h)
    with_row(v, static_cast<const bfloat16*>(p.own(first).output.bias) + column, h, columns,
             [](float& value, float b) { value += b; });
  if (asked.pre != nullptr) put_bfloat16(buffer + kHalf, v);
  activate_all(asked.activation, v);
#pragma unroll
  for (int h = 0; h < 2 && asked.gate != nullptr; ++h) {
    const GemmProduct& own = p.own(first);
    const int at = first.at[1] + own_row(consumer_thread()) + 8 * h;
    const int64_t sample = at / own.rows_of_sample;
    with_row(v, static_cast<const bfloat16*>(own.output.gate) + sample * asked.stride + column, h,
             at < own.M ? columns : 0, [](float& value, float g) { value *= g; });
  }
}

SRPO_DEVICE void add_squares(float& squares, const float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 16; ++i) squares += v[i] * v[i];
}

/// The squares of a consumer's blocks of kSquareRows x kSquareColumns, two pieces each, of which a lane has those of
/// its own values: when all is put out, as there are registers for it then. Outside of the matrix all values are
/// zero, unless some within are not finite.
template <typename Tile, int kBlocks>
SRPO_DEVICE void put_squares(const float (&squares)[kBlocks], const GemmParameters& p,
                             const Coordinates<3>& tile) {
  static_assert(kSquareRows == 16 && kSquareColumns == 2 * kWide && Tile::kN % kSquareColumns == 0);
  constexpr int kAcross = Tile::kN / kSquareColumns;
  const int thread = consumer_thread(), lane = thread % kWarp;
  float own = 0.f;  // lane i has the sum of block i
#pragma unroll
  for (int block = 0; block < kBlocks; ++block) {
    float sum = squares[block];
#pragma unroll
    for (int step = kWarp / 2; step > 0; step /= 2) sum += shuffle(sum, thread ^ step);
    if (lane == block) own = sum;
  }
  const int row = tile.at[1] + lane / kAcross * 64 + thread / kWarp * kSquareRows;
  const int column = tile.at[0] + lane % kAcross * kSquareColumns;
  if (lane < kBlocks && row < p.own(tile).M && column < p.N)
    p.own(tile).output.squares[row / kSquareRows * ceil_div(p.N, kSquareColumns) +
                               column / kSquareColumns] = own;
}

/// All of a consumer's sums, whose first lies at `tile`.
template <typename Tile, Ending kEnding>
SRPO_DEVICE void put_out(const GemmSums<Tile>& sums, const GemmParameters& p,
                         GemmOutlet<Tile, kEnding>& outlet, const Coordinates<3>& tile) {
  constexpr bool kOne = GemmOutlet<Tile, kEnding>::kOneBatch;
  outlet.recall();
  constexpr int kPieces = GemmOutlet<Tile, kEnding>::kPieces;
  float squares[outlet.kAll / 2] = {};
#pragma unroll
  for (int piece = 0; piece < outlet.kAll; ++piece) {
    const Coordinates<3> at = outlet.piece_at(tile, piece);
    if (!outlet.joins() && (at.at[0] >= p.N || at.at[1] >= p.own<kOne>(tile).M)) continue;
    float v[16];
#pragma unroll
    for (int k = 0; k < 16; ++k) v[k] = sums[piece / kPieces][piece % kPieces * 16 + k];
    unsigned char* const buffer = outlet.take(tile, piece);
    if constexpr (kEnding == Ending::kAdd) {
      put_float(buffer, v);
    } else if constexpr (kEnding == Ending::kSquares) {
      outlet.wait_for_fetched();
      add_float(buffer, v);
      add_squares(squares[piece / 2], v);
    } else {
      if constexpr (kEnding == Ending::kFinish) finish(v, p, buffer, at);
      if (outlet.joins()) {
        outlet.wait_for_fetched();
        if constexpr (kEnding == Ending::kSlope) {
          if (!outlet.is_before(at)) multiply_slopes(p.asked().activation, v, buffer);
        } else {
          with_bfloat16(v, buffer, [](float& value, float r) { value += r; });
        }
      }
      put_bfloat16(buffer, v);
      if constexpr (kEnding == Ending::kJoin)
        if (p.asked().squares != nullptr) {
          round_to_bfloat16(v);
          add_squares(squares[piece / 2], v);
        }
    }
    outlet.ready();
    if (!outlet.leads()) continue;
    if constexpr (kEnding == Ending::kAdd)
      tma_add(p.own<kOne>(at).out, buffer, p.inside<kOne>(at));
    else if (outlet.is_before(at))
      tma_store(p.own<kOne>(at).pre, buffer, p.inside<kOne>(at));
    else
      tma_store(p.own<kOne>(at).out, buffer, p.inside<kOne>(outlet.behind(at)));
    if (kEnding == Ending::kFinish && p.asked().pre != nullptr)
      tma_store(p.own<kOne>(at).pre, buffer + kHalf, p.inside<kOne>(at));
    bulk_commit();
  }
  outlet.keep();
  if constexpr (kEnding == Ending::kSquares || kEnding == Ending::kJoin)
    if (p.asked().squares != nullptr) put_squares<Tile>(squares, p, tile);
}

}  // namespace srpo::cuda
