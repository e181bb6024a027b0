/**
 * Ctrl-C: the first aborts the signal and says so within a second, whatever the device is doing; the
 * second leaves at once.
 */
export function interruptible(): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      process.stderr.write("\nsrpo-native: leaving at once; the last checkpoint is intact\n");
      process.exit(name === "SIGINT" ? 130 : 143);
    }
    process.stderr.write(
      "\nsrpo-native: ending after the running step; once more leaves at once\n",
    );
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    end: () => {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
