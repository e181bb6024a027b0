import { openTensors } from "../../checkpoint/sharded.js";
import { refuseAll } from "../../checkpoint/store_set.js";
import { noGrad } from "../../autograd/tape.js";
import { problemsOf } from "../../nn/load.js";
import type { NamesMap } from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import { globalNorm, cast, sub } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import { ParameterStream } from "./stream.js";
import type { WrittenDType } from "./tensors.js";

// Of 8-bit floats with three bits of mantissa: at most 1/16 a number, a third of that in the mean.
const float8Error = 0.04;

/**
 * Reads a written checkpoint back and holds every parameter against what it was made from: the same bits, in 8 bits
 * within their rounding.
 *
 * @param namesIn - the map for the names that the written file has
 * @throws SrpoError ERR_CHECKPOINT that names every parameter that differs
 */
export async function checkWritten(
  place: string,
  from: ParameterStream,
  parameters: readonly Parameter[],
  { dtype, namesIn }: { dtype: WrittenDType; namesIn: (names: Iterable<string>) => NamesMap },
): Promise<void> {
  using store = openTensors(place);
  const map = namesIn(store.names());
  const problems = problemsOf(map, store);
  const written = new ParameterStream(store, map, parameters, { dtype: from.options.dtype });
  try {
    for (const { name } of problems.length > 0 ? [] : parameters) {
      const error = await distance(await from.get(name), await written.get(name), name);
      const allowed = dtype === "float8" ? float8Error : 0;
      if (!(error <= allowed))
        problems.push(
          `${name}: expected what was written, got values ${error.toExponential(1)} off`,
        );
    }
  } finally {
    written.dispose();
  }
  refuseAll(place, problems);
}

type Weights = Awaited<ReturnType<ParameterStream["get"]>>;

/** ||a - b|| / ||a||, 0 for equal zeros. */
async function distance(a: Weights, b: Weights, name: string): Promise<number> {
  using scope = tensorScope();
  void scope;
  const [x, y] = noGrad(() =>
    [a, b].map((set) => cast(set.get(name).viewOf(0, [set.range(name).size]), "float32")),
  );
  const [difference] = await globalNorm(noGrad(() => sub(x!, y!))).read();
  const [norm] = await globalNorm(x!).read();
  return difference === 0 ? 0 : difference! / norm!;
}
