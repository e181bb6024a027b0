import { suite } from "uvu";
import { SrpoError } from "../../ts/native/error.js";
import { hasDevice, type Device } from "../../ts/tensor/device.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";

export type Test = (name: string, fn: () => void | Promise<void>) => void;

/** The devices under test: SRPO_TEST_DEVICES, or cpu and emulated. */
function devices(): Device[] {
  return (process.env["SRPO_TEST_DEVICES"] ?? "cpu,emulated").split(",") as Device[];
}

// Tests that met an op which their device does not have yet; test/run.mjs counts them as skipped.
const unsupported = new Map<string, number>();
process.on("exit", () => {
  for (const [what, count] of unsupported) console.log(`Unsupported: ${count}  (${what})`);
});

function isUnsupported(error: unknown): error is SrpoError {
  return error instanceof SrpoError && error.code === "ERR_UNSUPPORTED";
}

/** The ops that a device does not have yet end a test, and count it as skipped. */
async function unlessUnsupported(fn: () => void | Promise<void>, device: Device): Promise<void> {
  try {
    await fn();
    await synchronize(device);
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    await synchronize(device).catch(() => undefined);
    unsupported.set(error.message, (unsupported.get(error.message) ?? 0) + 1);
  }
}

/**
 * One uvu suite a device. Each test runs in a scope of its own, and fails if work it left behind
 * failed; on a device that is not there, or has not the op, it counts as skipped.
 */
export function forEachDevice(name: string, define: (test: Test, device: Device) => void): void {
  for (const device of devices()) {
    const tests = suite(`${name} on ${device}`);
    const there = hasDevice(device);
    const skip = (title: string) => tests.skip(title, () => {});
    try {
      define((title, fn) => {
        if (!there) return skip(title);
        tests(title, async () => {
          using scope = tensorScope();
          void scope;
          await unlessUnsupported(fn, device);
        });
      }, device);
    } catch (error) {
      // A suite may make tensors before its first test.
      const missing = error instanceof SrpoError && error.code === "ERR_DEVICE" && !there;
      if (!missing && !isUnsupported(error)) throw error;
      skip(error.message);
    }
    tests.run();
  }
}
