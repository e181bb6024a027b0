import type { Term } from "../methods/method.js";

/** The values of one name, each with the prompts that it is of; in the order of the prompts. */
export interface LoggedValues {
  values: number[];
  prompts: number[];
}
export type Logged = Readonly<Record<string, LoggedValues>>;

/** Collects what an update's terms log, by name; nothing waits until `read`. */
export class TermMetrics {
  readonly #values = new Map<string, { value: Promise<number>; prompts: number }[]>();

  /**
   * @param prompts - of the term's batch
   * @param share - of the update: a loss is logged as that of a whole update, whatever the batches
   */
  add({ name, metrics }: Term, { prompts, share }: { prompts: number; share: number }): void {
    for (const [metric, value] of Object.entries(metrics)) {
      const key = `${name}/${metric}`;
      const number = typeof value === "number" ? Promise.resolve(value) : value.item();
      const logged = metric === "loss" ? number.then((loss) => loss / share) : number;
      // If the step fails elsewhere, nobody asks for this one again.
      logged.catch(() => {});
      this.#values.set(key, [...(this.#values.get(key) ?? []), { value: logged, prompts }]);
    }
  }

  async read(): Promise<Logged> {
    const read: Record<string, LoggedValues> = {};
    for (const [name, all] of this.#values)
      read[name] = {
        values: await Promise.all(all.map(({ value }) => value)),
        prompts: all.map(({ prompts }) => prompts),
      };
    return read;
  }
}

/** Means over prompts, by name, of what ranks have logged, in the order of the ranks. */
export function meansOf(ranks: readonly Logged[]): Record<string, number> {
  const names = new Set(ranks.flatMap((logged) => Object.keys(logged)));
  const means: Record<string, number> = {};
  for (const name of names) {
    const values = ranks.flatMap((logged) => logged[name]?.values ?? []);
    const prompts = ranks.flatMap((logged) => logged[name]?.prompts ?? []);
    const weight = prompts.every((n) => n === prompts[0]) ? undefined : prompts;
    const sum = values.reduce((all, value, i) => all + value * (weight?.[i] ?? 1), 0);
    means[name] = sum / (weight?.reduce((all, n) => all + n, 0) ?? values.length);
  }
  return means;
}
