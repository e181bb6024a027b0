// Products of the tensor cores, and the tiles that feed them.
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/emulation/async_state.h"

namespace srpo::emulation {
namespace {

float element(const unsigned char* from) {
  bfloat16 value;
  std::memcpy(&value, from, 2);
  return float(value);
}

float half_of(unsigned pair, int which) {
  bfloat16 value;
  value.bits = static_cast<uint16_t>(which == 0 ? pair : pair >> 16);
  return float(value);
}

struct Tiles {
  unsigned registers[4];
  unsigned char* row;
  bool transposed;
};

/// Where lane `l` finds half `h` of its pair of tile `j`.
unsigned char* pair_at(void* const* lanes, int l, int j, int h, bool transposed) {
  const int first = l / 4, second = l % 4 * 2 + h;
  const int row = transposed ? second : first, column = transposed ? first : second;
  return static_cast<Tiles*>(lanes[j * 8 + row])->row + column * 2;
}

void check_row(const void* row, const char* what) {
  if (shared_offset(row, 16, what) % 16 != 0)
    fail(std::string(what) + ": expected rows aligned to 16 bytes");
}

}  // namespace

void load_matrices(unsigned (&r)[4], const void* row, bool transposed) {
  check_row(row, "load_matrices");
  Tiles tiles = {{}, static_cast<unsigned char*>(const_cast<void*>(row)), transposed};
  meet_warp("load_matrices", tiles, [](void* const* lanes) {
    for (int l = 0; l < 32; ++l) {
      auto* self = static_cast<Tiles*>(lanes[l]);
      for (int j = 0; j < 4; ++j)
        for (int h = 0; h < 2; ++h)
          std::memcpy(reinterpret_cast<char*>(&self->registers[j]) + 2 * h,
                      pair_at(lanes, l, j, h, self->transposed), 2);
    }
  });
  std::memcpy(r, tiles.registers, sizeof r);
}

void store_matrices(void* row, const unsigned (&r)[4], bool transposed) {
  check_row(row, "store_matrices");
  Tiles tiles = {{r[0], r[1], r[2], r[3]}, static_cast<unsigned char*>(row), transposed};
  meet_warp("store_matrices", tiles, [](void* const* lanes) {
    for (int l = 0; l < 32; ++l) {
      auto* self = static_cast<Tiles*>(lanes[l]);
      for (int j = 0; j < 4; ++j)
        for (int h = 0; h < 2; ++h)
          std::memcpy(pair_at(lanes, l, j, h, self->transposed),
                      reinterpret_cast<char*>(&self->registers[j]) + 2 * h, 2);
    }
  });
}

void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  struct Lane {
    float* d;
    const unsigned *a, *b;
  } lane{d, a, b};
  meet_warp("multiply_add", lane, [](void* const* lanes) {
    float A[16][16], B[16][8];
    for (int l = 0; l < 32; ++l) {
      const auto* self = static_cast<Lane*>(lanes[l]);
      const int g = l / 4, c = l % 4 * 2;
      for (int h = 0; h < 2; ++h) {
        for (int i = 0; i < 4; ++i) A[g + i % 2 * 8][c + i / 2 * 8 + h] = half_of(self->a[i], h);
        for (int i = 0; i < 2; ++i) B[c + i * 8 + h][g] = half_of(self->b[i], h);
      }
    }
    for (int l = 0; l < 32; ++l)
      for (int i = 0; i < 4; ++i) {
        const int row = l / 4 + i / 2 * 8, column = l % 4 * 2 + i % 2;
        float sum = 0.f;
        for (int k = 0; k < 16; ++k) sum += A[row][k] * B[k][column];
        static_cast<Lane*>(lanes[l])->d[i] += sum;
      }
  });
}

// ---- wgmma --------------------------------------------------------------------------------------

namespace {

/// Element (row along M or N, k) of an operand that a descriptor names.
float operand(const Block& block, uint64_t descriptor, int major, int row, int k) {
  const auto start = static_cast<unsigned>(descriptor & 0x3fff) << 4;
  const auto part = static_cast<unsigned>(descriptor >> 16 & 0x3fff) << 4;
  const auto group = static_cast<unsigned>(descriptor >> 32 & 0x3fff) << 4;
  if (descriptor >> 62 != 1) fail("wgmma: expected a descriptor with the 128-byte swizzle");
  const auto r = static_cast<unsigned>(row), c = static_cast<unsigned>(k);
  const unsigned linear = major == 0
                              ? start + r / 8 * group + r % 8 * 128 + c * 2
                              : start + r / 64 * part + c / 8 * group + c % 8 * 128 + r % 64 * 2;
  const unsigned at = swizzled(linear, 3);
  if (at + 2 > launched.shared) fail("wgmma: an operand ends outside of shared memory");
  return element(block.shared + at);
}

void read_operands(const Block& block, const Product& product, Operands& to) {
  for (int row = 0; row < 64 && !product.a_in_registers; ++row)
    for (int k = 0; k < 16; ++k) to.a[row][k] = operand(block, product.a, product.major_a, row, k);
  for (int row = 0; row < product.n; ++row)
    for (int k = 0; k < 16; ++k) to.b[k][row] = operand(block, product.b, product.major_b, row, k);
}

void check_same(const Product& mine, const Product& first) {
  if (mine.a != first.a || mine.b != first.b || mine.n != first.n ||
      mine.accumulate != first.accumulate || mine.a_in_registers != first.a_in_registers ||
      mine.major_a != first.major_a || mine.major_b != first.major_b)
    fail("wgmma: the threads of a warpgroup have given different operands");
}

/// Product `i` of group `g`, of the 128 threads whose work this is.
void multiply(const Block& block, AsyncWork* const* threads, size_t g, size_t i) {
  const Product& first = threads[0]->products.all[g][i];
  // Eight columns at a time; a sum runs along K all the same.
  using Eight = float __attribute__((vector_size(32)));
  static Operands read_now;
  alignas(32) static float D[64][256];
  for (int t = 1; t < 128; ++t) check_same(threads[t]->products.all[g][i], first);
  if (first.read == nullptr) read_operands(block, first, read_now);
  auto& [A, B] = first.read == nullptr ? read_now : *first.read;
  for (int t = 0; t < 128 && first.a_in_registers; ++t)
    for (int j = 0; j < 4; ++j)
      for (int h = 0; h < 2; ++h)
        A[t / 32 * 16 + t % 32 / 4 + j % 2 * 8][t % 4 * 2 + j / 2 * 8 + h] =
            half_of(threads[t]->products.all[g][i].registers[j], h);
  for (int row = 0; row < 64; ++row)
    for (int column = 0; column < first.n; column += 8) {
      Eight sum = {};
      for (int k = 0; k < 16; ++k)
        sum += A[row][k] * *reinterpret_cast<const Eight*>(&B[k][column]);
      *reinterpret_cast<Eight*>(&D[row][column]) = sum;
    }
  for (int t = 0; t < 128; ++t) {
    auto& groups = threads[t]->products.all;
    Product& mine = groups[g][i];
    for (int j = 0; j < mine.n / 2; ++j) {
      const int row = t / 32 * 16 + t % 32 / 4 + j % 4 / 2 * 8;
      const int column = j / 4 * 8 + t % 4 * 2 + j % 2;
      mine.value[static_cast<size_t>(j)] =
          mine.accumulate ? mine.value[static_cast<size_t>(j)] + D[row][column] : D[row][column];
    }
    // The next product in flight on these registers goes on from here; else they hold it now.
    Product* next = nullptr;
    for (size_t later = g; later < groups.size() && next == nullptr; ++later)
      for (size_t k = later == g ? i + 1 : 0; k < groups[later].size() && next == nullptr; ++k)
        if (groups[later][k].d == mine.d) next = &groups[later][k];
    if (next != nullptr)
      next->value = std::move(mine.value);
    else
      std::memcpy(mine.d, mine.value.data(), mine.value.size() * sizeof(float));
  }
}

struct Wait {
  AsyncWork* work;
  int groups;
};

}  // namespace

void wgmma(float* d, int n, uint64_t a, const unsigned* registers, uint64_t b, int major_a,
           int major_b, bool accumulate) {
  auto& groups = async_work().products.all;
  Product product = {d, n, a, b, registers != nullptr, {}, major_a, major_b, accumulate, {}, {}};
  if (registers != nullptr) std::memcpy(product.registers, registers, sizeof product.registers);
  bool in_flight = false;
  for (const auto& group : groups)
    for (const Product& other : group) in_flight = in_flight || other.d == d;
  if (!in_flight) {
    product.value.assign(d, d + n / 2);
    for (int i = 0; i < n / 2; ++i) d[i] = std::numeric_limits<float>::quiet_NaN();
  }
  groups.back().push_back(std::move(product));
}

// Shared memory is read at once or, as often, when the products are waited for: whoever has not waited for what
// he multiplies shows by the one, whoever writes there too early by the other.
void wgmma_commit() {
  auto& products = async_work().products;
  if (current->rank % 128 == 0 && draw(2) == 0)
    for (Product& product : products.all.back()) {
      product.read = std::make_shared<Operands>();
      read_operands(*current->block, product, *product.read);
    }
  products.commit();
}

void wgmma_wait(int groups) {
  const unsigned group = current->rank / 128;
  if ((group + 1) * 128 > current->block->threads.size())
    fail("wgmma: expected whole warpgroups of 128 threads");
  Wait mine = {&async_work(), groups};
  meet(async_block(*current->block).warpgroups[group], "wgmma_wait", 128, current->rank % 128,
       &mine, [](void* const* payloads) {
         AsyncWork* threads[128];
         for (int t = 0; t < 128; ++t) threads[t] = static_cast<Wait*>(payloads[t])->work;
         const auto& first = *static_cast<Wait*>(payloads[0]);
         const size_t due = first.work->products.due(first.groups);
         for (int t = 1; t < 128; ++t)
           if (threads[t]->products.due(static_cast<Wait*>(payloads[t])->groups) != due)
             fail("wgmma: the threads of a warpgroup have committed different groups");
         for (size_t g = 0; g < due; ++g)
           for (size_t i = 0; i < first.work->products.all[g].size(); ++i) {
             for (int t = 1; t < 128; ++t)
               if (threads[t]->products.all[g].size() != first.work->products.all[g].size())
                 fail("wgmma: the threads of a warpgroup have begun different products");
             multiply(*current->block, threads, g, i);
           }
         for (AsyncWork* work : threads) work->products.drop(due);
       });
}

}  // namespace srpo::emulation
