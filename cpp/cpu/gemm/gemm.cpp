// How a product is cut up. B is packed a chunk at a time, by all threads, then the rows of A are
// shared out: a task packs its rows of A block by block along K and keeps its sums in a buffer of
// its own until the last block, when each register tile goes through the epilogue while it is in
// the first-level cache.
//
//   for chunk of B's panels (at most kChunkBytes when packed):      in parallel: pack
//     for task = (batch, rows of A, panels of the chunk):           in parallel:
//       for block of K:  pack A;  for panel:  for tile of rows:  micro kernel; at the end, epilogue

#include "cpp/cpu/gemm/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <tuple>

#include "cpp/cpu/gemm/gemm_kernels.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"

namespace srpo::cpu {
namespace {

constexpr size_t kChunkBytes = size_t{8} << 20;  // packed B: a share of the last-level cache
constexpr int64_t kRowsOfTask = 96;

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

thread_local Buffer packed_b, packed_a, tile_sums, staging;

const GemmTables& tables() {
  static const auto& best = best_of(gemm_generic, gemm_avx2, gemm_avx512);
  return best;
}

struct Plan {
  const Gemm& g;
  const GemmKernel& kernel;
  GemmFinish finish;
  int64_t depth;        // K, padded to the unit
  int64_t panels;       // of B, one batch
  int64_t panel_bytes;  // of one panel of B, all of K
  int64_t input_bytes;  // of an element of A and B
};

const char* at(const GemmOperand& m, const Plan& p, int64_t batch, int64_t row, int64_t column) {
  const int64_t offset = batch * m.batch_stride + row * m.row_stride + column * m.column_stride;
  return static_cast<const char*>(m.data) + offset * p.input_bytes;
}

void pack_b_panel(const Plan& p, char* to, int64_t batch, int64_t panel) {
  const auto& [g, kernel] = std::tie(p.g, p.kernel);
  const int64_t column = panel * kernel.nr;
  const int64_t lines = std::min<int64_t>(kernel.nr, g.N - column);
  if (g.b.data != nullptr) {
    kernel.pack_b(to, at(g.b, p, batch, 0, column), lines, g.K, g.b.column_stride, g.b.row_stride);
    return;
  }
  // Rows along N, staged some at a time.
  const int64_t rows = 64;
  char* staged = staging.room<char>(static_cast<size_t>(rows * kernel.nr * p.input_bytes));
  for (int64_t k = 0; k < g.K; k += rows) {
    const int64_t count = std::min(rows, g.K - k);
    for (int64_t i = 0; i < count; ++i)
      g.b.rows.make(g.b.rows.context, batch, k + i, column, lines,
                    staged + i * kernel.nr * p.input_bytes);
    kernel.pack_b(to + k * kernel.nr * kernel.element_bytes, staged, lines, count, 1, kernel.nr);
  }
}

/// Rows [row, row + rows) and [k, k + depth) of A into panels of mr rows.
void pack_a_block(const Plan& p, char* to, int64_t batch, int64_t row, int64_t rows, int64_t k,
                  int64_t depth) {
  const auto& [g, kernel] = std::tie(p.g, p.kernel);
  const int64_t padded = ceil_div(depth, kernel.unit) * kernel.unit;
  for (int64_t i = 0; i < rows; i += kernel.mr) {
    const int64_t lines = std::min<int64_t>(kernel.mr, rows - i);
    if (g.a.data != nullptr) {
      kernel.pack_a(to, at(g.a, p, batch, row + i, k), lines, depth, g.a.row_stride,
                    g.a.column_stride);
    } else {
      char* staged = staging.room<char>(static_cast<size_t>(kernel.mr * depth * p.input_bytes));
      for (int64_t line = 0; line < lines; ++line)
        g.a.rows.make(g.a.rows.context, batch, row + i + line, k, depth,
                      staged + line * depth * p.input_bytes);
      kernel.pack_a(to, staged, lines, depth, depth, 1);
    }
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
  return o;
}

struct Task {
  int64_t batch, row, rows, panel, panels;
};

void run_task(const Plan& p, const Task& t, const char* chunk) {
  const auto& [g, kernel] = std::tie(p.g, p.kernel);
  const int64_t tiles = ceil_div(t.rows, kernel.mr);
  const int64_t width = t.panels * kernel.nr;
  const int64_t block = std::min<int64_t>(kernel.depth, p.depth);
  char* a =
      packed_a.room<char>(static_cast<size_t>(tiles * kernel.mr * block * kernel.element_bytes));
  float* sums =
      tile_sums.room<float>(static_cast<size_t>(tiles * kernel.mr * width) * sizeof(float));
  const GemmOutput output = output_of(g, t.batch);

  for (int64_t k = 0; k < g.K; k += block) {
    const int64_t depth = std::min(block, g.K - k);
    const int64_t padded = ceil_div(depth, kernel.unit) * kernel.unit;
    const bool last = k + block >= g.K;
    pack_a_block(p, a, t.batch, t.row, t.rows, k, depth);
    for (int64_t panel = 0; panel < t.panels; ++panel) {
      const char* b = chunk + panel * p.panel_bytes + k * kernel.nr * kernel.element_bytes;
      const int64_t column = (t.panel + panel) * kernel.nr;
      const int64_t columns = std::min<int64_t>(kernel.nr, g.N - column);
      for (int64_t tile = 0; tile < tiles; ++tile) {
        float* c = sums + (panel * tiles + tile) * kernel.mr * kernel.nr;
        kernel.micro(c, kernel.nr, a + tile * kernel.mr * padded * kernel.element_bytes, b, padded,
                     k > 0);
        if (!last) continue;
        const int64_t row = t.row + tile * kernel.mr;
        const int64_t rows = std::min<int64_t>(kernel.mr, t.row + t.rows - row);
        if (g.epilogue.run != nullptr)
          g.epilogue.run(g.epilogue.context, t.batch, row, column, rows, columns, c, kernel.nr);
        else
          p.finish(output, row, column, rows, columns, c, kernel.nr);
      }
    }
  }
}

/// Packs `panels` panels of each of `batches` and multiplies all of A's rows with them.
void run_chunk(const Plan& p, int64_t batch, int64_t batches, int64_t panel, int64_t panels) {
  char* chunk = packed_b.room<char>(static_cast<size_t>(batches * panels * p.panel_bytes));
  parallel_blocks(batches * panels, [&](int64_t i) {
    pack_b_panel(p, chunk + i * p.panel_bytes, batch + i / panels, panel + i % panels);
  });

  const int64_t mr = p.kernel.mr;
  const int64_t rows = std::min(ceil_div(p.g.M, mr) * mr, ceil_div(kRowsOfTask, mr) * mr);
  const int64_t row_blocks = ceil_div(p.g.M, rows);
  const int64_t wanted = 4 * threads();
  const int64_t column_blocks =
      std::clamp<int64_t>(ceil_div(wanted, row_blocks * batches), 1, panels);
  const int64_t panels_of_task = ceil_div(panels, column_blocks);
  const int64_t groups = ceil_div(panels, panels_of_task);
  parallel_blocks(batches * row_blocks * groups, [&](int64_t i) {
    const int64_t group = i % groups, row_block = i / groups % row_blocks,
                  b = i / groups / row_blocks;
    const int64_t first = group * panels_of_task;
    run_task(p,
             {.batch = batch + b,
              .row = row_block * rows,
              .rows = std::min(rows, p.g.M - row_block * rows),
              .panel = panel + first,
              .panels = std::min(panels_of_task, panels - first)},
             chunk + (b * panels + first) * p.panel_bytes);
  });
}

}  // namespace

void gemm(const Gemm& g) {
  const bool bf16 = g.dtype == DType::kBFloat16;
  const GemmKernel& kernel = bf16 ? tables().bf16 : tables().f32;
  const int64_t depth = ceil_div(g.K, kernel.unit) * kernel.unit;
  const Plan plan = {
      .g = g,
      .kernel = kernel,
      .finish = g.output_dtype == DType::kBFloat16 ? tables().finish_bf16 : tables().finish_f32,
      .depth = depth,
      .panels = ceil_div(g.N, kernel.nr),
      .panel_bytes = depth * kernel.nr * kernel.element_bytes,
      .input_bytes = static_cast<int64_t>(size_of(g.dtype)),
  };
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
