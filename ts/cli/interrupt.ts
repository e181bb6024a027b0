// Exit codes of a command that a signal ended, as shells count them.
const codes = { SIGINT: 130, SIGTERM: 143 } as const;
type Ending = keyof typeof codes;

/**
 * Ctrl-C: the first aborts the signal and says so at once, whatever the device is doing; the second ends
 * the process without a word with the device.
 */
export function interruptible(): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const end = (): void => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      process.stderr.write("\nsrpo-native: leaving at once\n");
      // Not process.exit: that would wait for the work that the device has begun.
      end();
      process.kill(process.pid, name);
      return;
    }
    process.stderr.write(
      "\nsrpo-native: ending after the running step; once more leaves at once\n",
    );
    controller.abort(name);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return { signal: controller.signal, end };
}

/** What a command returns that ended early because of the signal. */
export function interruptedCode(signal: AbortSignal): number {
  return codes[signal.reason as Ending] ?? codes.SIGINT;
}
