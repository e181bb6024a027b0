import { openTensors } from "../../checkpoint/sharded.js";
import { shownText } from "../../checkpoint/file_bytes.js";
import { refuseAll } from "../../checkpoint/store_set.js";
import { isJsonObject, type JsonObject } from "../../nn/config_reader.js";
import type { TensorSource } from "../../nn/load.js";
import { Lora, loraName, type LoraPart } from "../../nn/lora.js";
import type { DiskTensor } from "../../nn/names_map.js";
import type { ParameterSetOptions } from "../../nn/parameter_set.js";
import { release } from "../../tensor/scope.js";
import { empty, type Tensor } from "../../tensor/tensor.js";
import type { FluxConfig } from "../flux/config.js";
import { isTextEncoder, loraTargets, withoutPrefix } from "./modules.js";

/** An adapter that was read, and what of its file was not: the text encoders' modules. */
export interface LoadedLora {
  readonly lora: Lora;
  readonly skipped: readonly string[];
}

interface Module {
  a?: string;
  b?: string;
  alpha?: string;
}

const matrix =
  /^(.+)\.(lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up|down|up)(?:\.default)?\.weight$/;
const downs = new Set(["lora_A", "lora_down", "lora.down", "down"]);

/** Whether a file with these names is a LoRA. */
export function isLora(names: Iterable<string>): boolean {
  return [...names].some((name) => matrix.test(name));
}

/** The file's tensors by module; the names that belong to no LoRA. */
function modulesOf(names: Iterable<string>): { modules: Map<string, Module>; others: string[] } {
  const modules = new Map<string, Module>();
  const others: string[] = [];
  for (const name of names) {
    const [, module, kind] = matrix.exec(name) ?? /^(.+)\.(alpha)$/.exec(name) ?? [];
    if (module === undefined || kind === undefined) {
      others.push(name);
      continue;
    }
    const entry = modules.get(module) ?? {};
    entry[kind === "alpha" ? "alpha" : downs.has(kind) ? "a" : "b"] = name;
    modules.set(module, entry);
  }
  return { modules, others };
}

/** PEFT's config in a file's metadata: what scale a module without alpha has. */
function alphaFrom(metadata: ReadonlyMap<string, string> | undefined, fallback?: number) {
  let json: JsonObject = {};
  try {
    const parsed: unknown = JSON.parse(metadata?.get("lora_adapter_metadata") ?? "{}");
    if (isJsonObject(parsed)) json = parsed;
  } catch {
    // Metadata of another program: then alpha is the rank.
  }
  const get = (key: string) => json[`transformer.${key}`] ?? json[key];
  const alpha = get("lora_alpha");
  const pattern = get("alpha_pattern");
  const own = isJsonObject(pattern) ? Object.entries(pattern) : [];
  return (module: string, rank: number): number => {
    const special = own.find(([key]) => module === key || module.endsWith(`.${key}`))?.[1];
    const value = special ?? alpha ?? fallback ?? rank;
    const divisor = get("use_rslora") === true ? Math.sqrt(rank) : rank;
    return (typeof value === "number" ? value : rank) / divisor;
  };
}

/** The two sizes of a matrix, of a 1 x 1 convolution too. */
function sizes(shape: readonly number[]): readonly [number, number] | undefined {
  const [rows, columns, ...rest] = shape;
  return rows === undefined || columns === undefined || rest.some((n) => n !== 1)
    ? undefined
    : [rows, columns];
}

async function value(source: TensorSource, name: string): Promise<number> {
  const one = release(empty([1], { dtype: "float32" }));
  try {
    await source.readInto(name, one);
    return (await one.read())[0]!;
  } finally {
    one.dispose();
  }
}

/** B's rows in our order: diffusers keeps the halves of the output norm's modulation the other way round. */
async function readB(source: TensorSource, name: string, into: Tensor, { layout }: DiskTensor) {
  if (layout !== "swappedHalves") return source.readInto(name, into);
  const [rows = 0, rank = 0] = into.shape;
  const half = rows / 2;
  for (const [to, fromRow] of [
    [0, half],
    [half * rank, 0],
  ] as const) {
    const part = release(into.viewOf(to, [half, rank]));
    try {
      await source.readInto(name, part, { fromRow, rows: half });
    } finally {
      part.dispose();
    }
  }
}

/**
 * Reads a LoRA of a FLUX transformer in the naming that it is in: diffusers' and PEFT's, sd-scripts' (kohya), BFL's
 * or ComfyUI's, XLabs'. Fused modules change the rows of the fused weight that is here too.
 *
 * @param options.alpha - where the file says none; default the rank, so that the factor is 1
 * @throws SrpoError ERR_CHECKPOINT that names every module that this model has not, every half and every wrong shape
 */
export async function readLora(
  source: TensorSource & { readonly metadata?: ReadonlyMap<string, string> },
  config: FluxConfig,
  { alpha: fallback, ...options }: ParameterSetOptions & { alpha?: number } = {},
): Promise<LoadedLora> {
  const { modules, others } = modulesOf(source.names());
  const targets = loraTargets(config);
  const factorOf = alphaFrom(source.metadata, fallback);
  const problems = others.map(
    (name) => `${name}: expected a LoRA's lora_A, lora_B or alpha, got it`,
  );
  const skipped: string[] = [];
  const found: { part: LoraPart; a: string; b: string; target: DiskTensor }[] = [];
  for (const [module, { a, b, alpha }] of modules) {
    if (isTextEncoder(module)) {
      skipped.push(module);
      continue;
    }
    const target = targets.get(withoutPrefix(module));
    const [shapeA, shapeB] = [a, b].map((name) => name && sizes(source.shape(name)));
    if (target === undefined)
      problems.push(`${module}: expected a linear layer of this model, got none`);
    else if (a === undefined || b === undefined)
      problems.push(`${module}: expected A and B, got one`);
    else if (
      !shapeA ||
      !shapeB ||
      shapeA[0] !== shapeB[1] ||
      shapeA[1] !== target.shape[1] ||
      shapeB[0] !== target.shape[0]
    )
      problems.push(
        `${module}: expected A [rank, ${target.shape[1]}] and B [${target.shape[0]}, rank], ` +
          `got [${source.shape(a).join(", ")}] and [${source.shape(b).join(", ")}]`,
      );
    else {
      const [rank, inputs] = shapeA;
      const factor =
        alpha === undefined
          ? factorOf(withoutPrefix(module), rank)
          : (await value(source, alpha)) / rank;
      const row = target.offset / inputs;
      const part = { weight: target.name, row, rows: shapeB[0], inputs, rank, factor };
      found.push({ part, a, b, target });
    }
  }
  refuseAll(
    source.origin,
    problems.map((problem) => shownText(problem, 400)),
  );
  if (found.length === 0)
    refuseAll(source.origin, ["expected a LoRA of FLUX's transformer, got none of it"]);
  const lora = new Lora(
    found.map(({ part }) => part),
    options,
  );
  try {
    for (const { part, a, b, target } of found) {
      const name = loraName(part);
      await source.readInto(a, lora.parameters.get(`${name}.A`));
      await readB(source, b, lora.parameters.get(`${name}.B`), target);
    }
    return { lora, skipped };
  } catch (error) {
    lora.dispose();
    throw error;
  }
}

/** A LoRA's file or folder; see `readLora`. */
export async function openLora(
  place: string,
  config: FluxConfig,
  options: ParameterSetOptions & { alpha?: number } = {},
): Promise<LoadedLora> {
  using store = openTensors(place);
  return await readLora(store, config, options);
}
