/** What cpp/binding/runtime.cpp registers. */
export interface RuntimeRows {
  hasDevice(device: string): boolean;
  /** What the cuda device is, a line a card, or why there is none. */
  cudaText(): string;
  /** Makes the emulated device, from its library. */
  openEmulated(path: string): void;
  /** Other schedules of the emulated device from here on. */
  emulatedSeed(seed: number): void;
  cpuInstructionSet(): string;
  cpuThreads(): number;
  cpuSetThreads(count: number): void;
  poolStats(device: string): [inUse: number, cached: number, peak: number];
  poolTrim(device: string): void;
  /** 0 ends the limit. */
  poolLimit(device: string, bytes: number): void;
  memoryLabel(name: string | null): void;
  memoryLeft(device: string): [free: number, total: number];
  /** What is known of devices of its kind: what was found, or why there is none; may be empty. */
  deviceNote(device: string): string;
  opRows(device: string): Record<string, boolean>;
}
