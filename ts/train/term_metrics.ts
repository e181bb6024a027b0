import type { Term } from "../methods/method.js";

/** Averages what an update's terms log, by name; nothing waits until `means`. */
export class TermMetrics {
  readonly #values = new Map<string, Promise<number>[]>();

  add({ name, metrics }: Term): void {
    for (const [metric, value] of Object.entries(metrics)) {
      const key = `${name}/${metric}`;
      const number = typeof value === "number" ? Promise.resolve(value) : value.item();
      // If the step fails elsewhere, nobody asks for this one again.
      number.catch(() => {});
      this.#values.set(key, [...(this.#values.get(key) ?? []), number]);
    }
  }

  async means(): Promise<Record<string, number>> {
    const means: Record<string, number> = {};
    for (const [name, pending] of this.#values) {
      const values = await Promise.all(pending);
      means[name] = values.reduce((sum, value) => sum + value, 0) / values.length;
    }
    return means;
  }
}
