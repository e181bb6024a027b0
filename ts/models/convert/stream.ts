import type { TensorStore } from "../../checkpoint/tensor_store.js";
import { loadParameters } from "../../nn/load.js";
import type { Lora } from "../../nn/lora.js";
import type { NamesMap } from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import { ParameterSet } from "../../nn/parameter_set.js";
import { synchronize } from "../../tensor/device.js";

/** Every name on disk of one parameter; what belongs to others is not looked at. */
export function mapOf(map: NamesMap, parameter: string): NamesMap {
  return { tensors: map.tensors.filter(({ name }) => name === parameter), ignores: () => true };
}

/**
 * A checkpoint's weights one parameter at a time, in our order: a conversion needs the memory of the largest, and
 * not of the model.
 */
export class ParameterStream {
  #last: { name: string; set: ParameterSet } | undefined;
  readonly #parameters: ReadonlyMap<string, Parameter>;

  /** @param options.lora - merged into each parameter as it is read */
  constructor(
    readonly store: TensorStore,
    readonly map: NamesMap,
    parameters: readonly Parameter[],
    readonly options: { dtype: "float32" | "bfloat16"; lora?: Lora | undefined },
  ) {
    this.#parameters = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  }

  /** A set of this parameter alone, until the next one is asked for. */
  async get(name: string): Promise<ParameterSet> {
    if (this.#last?.name === name) return this.#last.set;
    this.dispose();
    const { dtype, lora } = this.options;
    const set = ParameterSet.create([this.#parameters.get(name)!], { dtype });
    this.#last = { name, set };
    await loadParameters(set, mapOf(this.map, name), this.store);
    lora?.mergeInto(set);
    await synchronize("cpu");
    return set;
  }

  dispose(): void {
    this.#last?.set.dispose();
    this.#last = undefined;
  }
}
