// A program for launch.test.ts: says what it was told, and then does what its words say.
const [, , ...words] = process.argv;
const rank = process.env["OMPI_COMM_WORLD_RANK"] ?? process.env["RANK"];
const { SRPO_RESTARTS, WORLD_SIZE, LOCAL_RANK, GROUP_RANK, MASTER_ADDR, SRPO_TOKEN } = process.env;
process.on("SIGINT", () => {
  process.stdout.write(`rank ${rank} saves\n`);
  if (!words.includes("stubborn")) process.exit(130);
});
process.on("SIGTERM", () => undefined); // only SIGKILL ends it
process.stdout.write(
  `rank ${rank} restarts ${SRPO_RESTARTS} size ${WORLD_SIZE} local ${LOCAL_RANK} node ${GROUP_RANK} ` +
    `master ${MASTER_ADDR} token ${SRPO_TOKEN?.length} words ${JSON.stringify(words)}\n`,
);
const [what, which, until] = words;
// fail RANK [UNTIL]: that rank fails, until the job was started again so often; the others wait for ever.
if (what === "fail" && Number(SRPO_RESTARTS) < Number(until ?? 1000)) {
  if (rank === which) process.exit(3);
  setInterval(() => undefined, 1000);
}
if (what === "wait") setInterval(() => undefined, 1000);
