// Writes wgmma_shapes.cuh: node cuda/common/wgmma_shapes.mjs. PTX names every register of an accumulator.
import { writeFileSync } from "node:fs";

const widths = [8, 16, 32, 64, 80, 96, 128, 160, 192, 256];
const lines = [
  "// Written by wgmma_shapes.mjs.",
  "// clang-format off",
  "#pragma once",
  "",
  "namespace srpo::cuda {",
  "",
  "template <int N, int kA, int kB> struct WgmmaShape;",
];
for (const n of widths) {
  const count = n / 2;
  const registers = Array.from({ length: count }, (_, i) => `%${i}`).join(", ");
  const bound = Array.from({ length: count }, (_, i) => `"+f"(d[${i}])`).join(", ");
  const name = `wgmma.mma_async.sync.aligned.m64n${n}k16.f32.bf16.bf16`;
  const at = (i) => `%${count + i}`;
  lines.push(
    "",
    `template <int kA, int kB> struct WgmmaShape<${n}, kA, kB> {`,
    `  static SRPO_DEVICE void run(float (&d)[${count}], uint64_t a, uint64_t b, int accumulate) {`,
    `    asm volatile("{\\n.reg .pred p;\\nsetp.ne.b32 p, ${at(2)}, 0;\\n${name} {${registers}}, ${at(0)}, ${at(1)}, p, 1, 1, ${at(3)}, ${at(4)};\\n}\\n"`,
    `                 : ${bound} : "l"(a), "l"(b), "r"(accumulate), "n"(kA), "n"(kB));`,
    "  }",
    `  static SRPO_DEVICE void run(float (&d)[${count}], const unsigned (&a)[4], uint64_t b, int accumulate) {`,
    `    asm volatile("{\\n.reg .pred p;\\nsetp.ne.b32 p, ${at(5)}, 0;\\n${name} {${registers}}, {${at(0)}, ${at(1)}, ${at(2)}, ${at(3)}}, ${at(4)}, p, 1, 1, ${at(6)};\\n}\\n"`,
    `                 : ${bound} : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(kB));`,
    "  }",
    "};",
  );
}
lines.push(
  "",
  "template <int N, Major kA, Major kB>",
  "SRPO_DEVICE void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {",
  "  WgmmaShape<N, int(kA), int(kB)>::run(d, a, b, accumulate);",
  "}",
  "template <int N, Major kB>",
  "SRPO_DEVICE void wgmma(float (&d)[N / 2], const unsigned (&a)[4], uint64_t b, bool accumulate) {",
  "  WgmmaShape<N, 0, int(kB)>::run(d, a, b, accumulate);",
  "}",
  "",
  "}  // namespace srpo::cuda",
  "",
);
writeFileSync(new URL("wgmma_shapes.cuh", import.meta.url), lines.join("\n"));
