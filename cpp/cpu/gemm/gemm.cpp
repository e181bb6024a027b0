// How a product is cut up. B is packed a chunk at a time, by all threads; then tiles of the output
// are shared out. A task packs its rows of A block by block along K and keeps its sums in a buffer
// of its own until the last block, when each register tile goes through the epilogue while it is in
// the first-level cache.
//
//   for chunk of B's panels (at most kChunkBytes when packed):      in parallel: pack
//     for task = (batch, rows of A, panels of the chunk):           in parallel:
//       for block of K:  pack A;  for panel:  for tile of rows:  micro kernel; at the end, epilogue
//
// What would cost more to pack than it saves is read where it lies: A when B is narrow, B when A is
// short. Few rows of A against rows of B along the depth are dot products, with no packing at all.

#include "cpp/cpu/gemm/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "cpp/cpu/gemm/gemm_check.h"
#include "cpp/cpu/gemm/gemm_kernels.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/ops/gemm/gemm_split.h"

namespace srpo::cpu {
namespace {

constexpr size_t kChunkBytes = size_t{8} << 20;  // packed B: a share of the last-level cache
constexpr int64_t kNearBytes = 256 << 10;        // packed B that is near enough at any order
constexpr int64_t kRowsOfTask = 192;  // with a block of K: a share of the second-level cache
constexpr int64_t kLineBytes = 64;
constexpr int64_t kWidthToPackA = 256;  // columns of B from which packing A pays
constexpr int64_t kRowsToPackB = 48;    // rows of A from which packing B that can be read pays

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/// Memory that grows and stays, one a thread and purpose.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  template <typename T>
  T* room(size_t bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = 0;
      const size_t rounded = (bytes + 4095) / 4096 * 4096;
      data_ = std::aligned_alloc(4096, rounded);
      if (data_ == nullptr) throw std::bad_alloc();
      size_ = rounded;
    }
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

thread_local Buffer packed_b, packed_a, tile_sums;

const GemmTables& tables() {
  static const auto& best = best_of(gemm_generic, gemm_avx2, gemm_avx512);
  return best;
}

/// The kernel from bfloat16: tiles if the machine has them and they pass a check; dot products of
/// pairs on AMD, whose cores run them as fast as multiply-adds (Intel's run them at half that rate);
/// else through float.
GemmKernel choose_bf16() {
  if (isa().amx_bf16) {
    GemmKernel tiles = gemm_amx_bf16;
    tiles.dot = tables().bf16.dot;
    if (multiplies_right(tiles)) return tiles;
    distrust_amx();
  }
  if (isa().avx512_bf16 && __builtin_cpu_is("amd")) return gemm_avx512_bf16;
  return tables().bf16;
}

const GemmKernel& kernel_for(DType dtype) {
  static const GemmKernel bf16 = choose_bf16();
  return dtype == DType::kFloat32 ? tables().f32 : bf16;
}

struct Plan {
  const Gemm& g;
  const GemmKernel& kernel;
  GemmFinish finish;
  GemmMicroOut micro_out;  // or null
  int64_t input_bytes;     // of an element of A and B
  int64_t panels;          // of B, one batch
  int64_t panel_bytes;     // of one panel of B, all of K
  bool dots;               // no panels at all
  bool reads_a;            // no panels of A
  bool reads_b;            // no panels of B but for the last columns
};

/// Whether a kernel may write this output from registers.
bool is_plain(const GemmOutput& o) {
  return o.activation == ActivationKind::kNone && o.pre == nullptr && o.residual == nullptr &&
         o.gate == nullptr && o.derivative_of == nullptr;
}

Plan plan_for(const Gemm& g) {
  const GemmKernel& kernel = kernel_for(g.dtype);
  const bool to_bf16 = g.output_dtype == DType::kBFloat16;
  const bool a_along = g.a.column_stride == 1;
  const bool b_along = g.b.row_stride == 1;
  const bool b_across = g.b.column_stride == 1;
  return {
      .g = g,
      .kernel = kernel,
      .finish = to_bf16 ? tables().finish_bf16 : tables().finish_f32,
      .micro_out = !is_plain(g.output) ? nullptr
                   : to_bf16           ? kernel.micro_out_bf16
                                       : kernel.micro_out_f32,
      .input_bytes = static_cast<int64_t>(size_of(g.dtype)),
      .panels = ceil_div(g.N, kernel.nr),
      .panel_bytes = ceil_div(g.K, kernel.unit) * kernel.unit * kernel.nr * kernel.element_bytes,
      .dots = kernel.dot != nullptr && a_along && b_along && g.M <= kDotRows,
      .reads_a = kernel.reads_a && a_along && (g.N < kWidthToPackA || g.M < kernel.mr),
      .reads_b = kernel.reads_b && b_across && g.M < kRowsToPackB,
  };
}

const char* at(const GemmOperand& m, const Plan& p, int64_t batch, int64_t row, int64_t column) {
  const int64_t offset = batch * m.batch_stride + row * m.row_stride + column * m.column_stride;
  return static_cast<const char*>(m.data) + offset * p.input_bytes;
}

int64_t columns_of(const Plan& p, int64_t panel) {
  return std::min<int64_t>(p.kernel.nr, p.g.N - panel * p.kernel.nr);
}

/// Whether this panel of B is read where it lies.
bool reads_panel(const Plan& p, int64_t panel) {
  return p.dots || (p.reads_b && columns_of(p, panel) == p.kernel.nr);
}

void pack_b_panel(const Plan& p, char* to, int64_t batch, int64_t panel) {
  const GemmOperand& b = p.g.b;
  p.kernel.pack_b(to, at(b, p, batch, 0, panel * p.kernel.nr), columns_of(p, panel), p.g.K,
                  b.column_stride, b.row_stride);
}

/// Rows [row, row + rows) and [k, k + depth) of A into panels of mr rows.
void pack_a_block(const Plan& p, char* to, int64_t batch, int64_t row, int64_t rows, int64_t k,
                  int64_t depth) {
  const Gemm& g = p.g;
  const GemmKernel& kernel = p.kernel;
  const int64_t padded = ceil_div(depth, kernel.unit) * kernel.unit;
  for (int64_t i = 0; i < rows; i += kernel.mr) {
    const int64_t lines = std::min<int64_t>(kernel.mr, rows - i);
    kernel.pack_a(to, at(g.a, p, batch, row + i, k), lines, depth, g.a.row_stride,
                  g.a.column_stride);
    to += kernel.mr * padded * kernel.element_bytes;
  }
}

/// The output of a batch: its pointers moved on.
GemmOutput output_of(const Gemm& g, int64_t batch) {
  GemmOutput o = g.output;
  const int64_t bytes = batch * o.batch_stride * static_cast<int64_t>(size_of(g.output_dtype));
  o.out = static_cast<char*>(o.out) + bytes;
  if (o.pre != nullptr) o.pre = static_cast<char*>(o.pre) + bytes;
  if (o.residual != nullptr) o.residual = static_cast<const char*>(o.residual) + bytes;
  if (o.derivative_of != nullptr)
    o.derivative_of = static_cast<const char*>(o.derivative_of) + bytes;
  return o;
}

struct Task {
  int64_t batch, row, rows, panel, panels;
  const char* chunk;  // the first of its panels
};

/// Asks for what finished sums meet in memory, so that it arrives while the tile is multiplied: its
/// rows are too far apart for the hardware to guess. A slope comes with where its product goes.
void fetch_operand(const Plan& p, const GemmOutput& output, int64_t row, int64_t column,
                   int64_t rows, int64_t columns) {
  const bool slopes = output.derivative_of != nullptr;
  const void* operand = output.accumulate ? output.out
                        : slopes          ? output.derivative_of
                                          : output.residual;
  if (operand == nullptr) return;
  const int64_t bytes = static_cast<int64_t>(size_of(p.g.output_dtype));
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = ((row + i) * output.stride + column) * bytes;
    for (int64_t byte = at; byte < at + columns * bytes; byte += kLineBytes) {
      __builtin_prefetch(static_cast<const char*>(operand) + byte);
      if (slopes) __builtin_prefetch(static_cast<const char*>(output.out) + byte, 1);
    }
  }
}

/// Asks for the part of the next panel of B, `bytes` in all, that falls to this of `tiles` tiles.
void fetch_share(const char* next, int64_t bytes, int64_t tile, int64_t tiles) {
  const int64_t share = ceil_div(ceil_div(bytes, tiles), kLineBytes) * kLineBytes;
  constexpr int kNearEnough = 2;  // the second-level cache
  for (int64_t byte = tile * share; byte < std::min((tile + 1) * share, bytes); byte += kLineBytes)
    __builtin_prefetch(next + byte, 0, kNearEnough);
}

void run_dots(const Plan& p, const Task& t) {
  const Gemm& g = p.g;
  float* sums = tile_sums.room<float>(static_cast<size_t>(t.rows * p.kernel.nr) * sizeof(float));
  const GemmOutput output = output_of(g, t.batch);
  for (int64_t panel = t.panel; panel < t.panel + t.panels; ++panel) {
    const int64_t column = panel * p.kernel.nr, columns = columns_of(p, panel);
    p.kernel.dot(sums, at(g.a, p, t.batch, t.row, 0), at(g.b, p, t.batch, 0, column), g.K, t.rows,
                 columns, g.a.row_stride, g.b.column_stride);
    p.finish(output, t.row, column, t.rows, columns, sums, p.kernel.nr);
  }
}

void run_tiles(const Plan& p, const Task& t) {
  const Gemm& g = p.g;
  const GemmKernel& kernel = p.kernel;
  const int64_t tiles = ceil_div(t.rows, kernel.mr);
  // Blocks of equal depth: a short one at the end would do little for what its sums cost.
  const int64_t share = ceil_div(g.K, ceil_div(g.K, kernel.depth));
  const int64_t block = std::min(g.K, ceil_div(share, kernel.unit) * kernel.unit);
  const int64_t tile_size = kernel.mr * kernel.nr;
  const int64_t block_bytes =
      tiles * kernel.mr * ceil_div(block, kernel.unit) * kernel.unit * kernel.element_bytes;
  const bool one_block = block == g.K;  // sums of a tile need not outlive it
  // A panel of B stays in the first-level cache while it meets all rows; but where all panels are
  // small, the output is written as it lies.
  const bool along_rows = one_block && t.panels * p.panel_bytes <= kNearBytes;
  char* a = p.reads_a ? nullptr : packed_a.room<char>(static_cast<size_t>(block_bytes + 64));
  float* sums = tile_sums.room<float>(
      static_cast<size_t>(tile_size * (one_block ? 1 : tiles * t.panels)) * sizeof(float));
  const GemmOutput output = output_of(g, t.batch);

  for (int64_t k = 0; k < g.K; k += block) {
    const int64_t depth = std::min(block, g.K - k);
    const int64_t padded = ceil_div(depth, kernel.unit) * kernel.unit;
    const bool last = k + block >= g.K;
    if (!p.reads_a) pack_a_block(p, a, t.batch, t.row, t.rows, k, depth);
    const auto multiply = [&](int64_t i, int64_t tile) {
      const int64_t panel = t.panel + i, column = panel * kernel.nr;
      const int64_t columns = columns_of(p, panel), row = t.row + tile * kernel.mr;
      const int64_t rows = std::min<int64_t>(kernel.mr, t.row + t.rows - row);
      const bool in_place = reads_panel(p, panel);
      float* c = one_block ? sums : sums + (i * tiles + tile) * tile_size;
      const char* at_a = p.reads_a ? at(g.a, p, t.batch, row, k)
                                   : a + tile * kernel.mr * padded * kernel.element_bytes;
      const char* at_b = in_place
                             ? at(g.b, p, t.batch, k, column)
                             : t.chunk + i * p.panel_bytes + k * kernel.nr * kernel.element_bytes;
      const int64_t a_stride = p.reads_a ? g.a.row_stride : 0;
      if (!along_rows && !in_place && i + 1 < t.panels)
        fetch_share(at_b + p.panel_bytes, padded * kernel.nr * kernel.element_bytes, tile, tiles);
      if (last && p.micro_out != nullptr && rows == kernel.mr && columns == kernel.nr &&
          !in_place) {
        p.micro_out(output, row, column, k > 0 ? c : nullptr, at_a, at_b, depth, a_stride);
        return;
      }
      if (last) fetch_operand(p, output, row, column, rows, columns);
      kernel.micro(c, at_a, at_b, depth, rows, a_stride, in_place ? g.b.row_stride : 0, k > 0);
      if (last) p.finish(output, row, column, rows, columns, c, kernel.nr);
    };
    if (along_rows) {
      for (int64_t tile = 0; tile < tiles; ++tile)
        for (int64_t i = 0; i < t.panels; ++i) multiply(i, tile);
    } else {
      for (int64_t i = 0; i < t.panels; ++i)
        for (int64_t tile = 0; tile < tiles; ++tile) multiply(i, tile);
    }
  }
}

/// Packs `panels` panels of each of `batches` and multiplies all of A's rows with them.
void run_chunk(const Plan& p, int64_t batch, int64_t batches, int64_t panel, int64_t panels) {
  const Gemm& g = p.g;
  char* chunk = nullptr;
  if (!reads_panel(p, panel + panels - 1)) {
    chunk = packed_b.room<char>(static_cast<size_t>(batches * panels * p.panel_bytes));
    const int64_t first = p.reads_b ? panels - 1 : 0, packed = panels - first;
    parallel_blocks(batches * packed, [&](int64_t i) {
      const int64_t b = i / packed, at = first + i % packed;
      pack_b_panel(p, chunk + (b * panels + at) * p.panel_bytes, batch + b, panel + at);
    });
  }

  // Row blocks of equal height, in tiles, and tasks enough for every thread to end with the others.
  const int64_t mr = p.kernel.mr, tiles = ceil_div(g.M, mr), wanted = 4 * threads();
  int64_t row_blocks = p.dots ? 1 : ceil_div(tiles, kRowsOfTask / mr);
  if (row_blocks * batches > threads() && row_blocks * batches < wanted)
    row_blocks = std::min(tiles, ceil_div(row_blocks, threads()) * threads());
  const int64_t columns = std::clamp<int64_t>(wanted / (row_blocks * batches), 1, panels);
  const int64_t panels_of_task = ceil_div(panels, columns),
                groups = ceil_div(panels, panels_of_task);
  parallel_blocks(batches * row_blocks * groups, [&](int64_t i) {
    const int64_t group = i % groups, block = i / groups % row_blocks;
    const int64_t row = p.dots ? 0 : block * tiles / row_blocks * mr;
    const int64_t end = p.dots ? g.M : std::min(g.M, (block + 1) * tiles / row_blocks * mr);
    const int64_t b = i / groups / row_blocks, first = group * panels_of_task;
    const Task task = {
        .batch = batch + b,
        .row = row,
        .rows = end - row,
        .panel = panel + first,
        .panels = std::min(panels_of_task, panels - first),
        .chunk = chunk + (b * panels + first) * p.panel_bytes,
    };
    p.dots ? run_dots(p, task) : run_tiles(p, task);
  });
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.output.before != nullptr) {
    for (const Gemm& part : split_columns(g)) gemm(part);
    return;
  }
  const Plan plan = plan_for(g);
  const int64_t room = std::max<int64_t>(1, static_cast<int64_t>(kChunkBytes) / plan.panel_bytes);
  if (plan.panels <= room) {
    const int64_t batches = std::min(g.batch, room / plan.panels);
    for (int64_t batch = 0; batch < g.batch; batch += batches)
      run_chunk(plan, batch, std::min(batches, g.batch - batch), 0, plan.panels);
    return;
  }
  for (int64_t batch = 0; batch < g.batch; ++batch)
    for (int64_t panel = 0; panel < plan.panels; panel += room)
      run_chunk(plan, batch, 1, panel, std::min(room, plan.panels - panel));
}

}  // namespace srpo::cpu
