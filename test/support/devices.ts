import { suite } from "uvu";
import { hasDevice, type Device } from "../../ts/tensor/device.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";

export type Test = (name: string, fn: () => void | Promise<void>) => void;

/** The devices under test: SRPO_TEST_DEVICES, or cpu alone. */
function devices(): Device[] {
  return (process.env["SRPO_TEST_DEVICES"] ?? "cpu").split(",") as Device[];
}

/**
 * One uvu suite a device. Each test runs in a scope of its own, and fails if work it left behind
 * failed; on a device that is not there it counts as skipped.
 */
export function forEachDevice(name: string, define: (test: Test, device: Device) => void): void {
  for (const device of devices()) {
    const tests = suite(`${name} on ${device}`);
    const there = hasDevice(device);
    define((title, fn) => {
      if (!there) {
        tests.skip(title, () => {});
        return;
      }
      tests(title, async () => {
        using scope = tensorScope();
        void scope;
        await fn();
        await synchronize(device);
      });
    }, device);
    tests.run();
  }
}
