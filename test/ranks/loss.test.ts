// A rank that dies, stops, fails or is cut off ends the whole job, with rank, host, step and collective named.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import type { Running } from "../support/cli.js";
import { child, hasMpirun, startRanks } from "../support/mpirun.js";

const tests = suite("a lost rank");
const test = (name: string, fn: () => Promise<void>, there = true) => {
  if (hasMpirun && there) tests(name, fn);
  else tests.skip(name, () => {});
};

/** The ranks' processes, when all run. */
async function processes({ soFar, ended }: Running, size: number): Promise<Map<number, number>> {
  const state = { over: false };
  void ended.then(() => (state.over = true));
  while (!state.over) {
    const found = [...soFar.stdout.matchAll(/^rank (\d) is process (\d+)$/gm)];
    if (found.length === size)
      return new Map(found.map(([, rank, pid]) => [Number(rank), Number(pid)]));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`the ranks ended: ${soFar.stdout}${soFar.stderr}`);
}

/** Runs to the end after `lose`; how long that took, and what was said. */
async function lose(
  running: Running,
  act: () => void,
): Promise<{ seconds: number; stderr: string }> {
  const started = performance.now();
  act();
  const { code, stderr } = await running.ended;
  assert.notEqual(code, 0);
  return { seconds: (performance.now() - started) / 1000, stderr };
}

const where = String.raw`at step \d+ (?:in allReduce \(collective \d+\)|after \d+ collectives)`;

for (const rank of [0, 1])
  test(`rank ${rank} is killed`, async () => {
    const running = startRanks(3, child("ranks/loss_child", "20"));
    const pids = await processes(running, 3);
    const { seconds, stderr } = await lose(running, () => process.kill(pids.get(rank)!, "SIGKILL"));
    assert.ok(seconds < 10, `${seconds} s`);
    const lost =
      rank === 0
        ? "rank 0 at 127.0.0.1 was lost: "
        : `rank 1 on ${os.hostname()} was lost ${where}: `;
    assert.match(stderr, new RegExp(lost), stderr);
    assert.match(stderr, new RegExp(where));
  });

for (const rank of [0, 2])
  test(`rank ${rank} is stopped`, async () => {
    const running = startRanks(3, child("ranks/loss_child", "3"));
    const pids = await processes(running, 3);
    const { seconds, stderr } = await lose(running, () => process.kill(pids.get(rank)!, "SIGSTOP"));
    assert.ok(seconds < 3 + 5, `${seconds} s`);
    assert.match(
      stderr,
      /rank \d (?:on \S+ was lost at step|at 127.0.0.1 was lost).*silent for \d s/,
    );
    assert.match(stderr, new RegExp(where));
  });

test("a rank whose JavaScript is stuck counts as stopped", async () => {
  // At step 150 it has told where it is more than once.
  const { code, stderr } = await startRanks(2, child("ranks/loss_child", "3", "block", "150"))
    .ended;
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    new RegExp(`rank 1 on ${os.hostname()} was lost ${where}: it has been silent`),
  );
});

for (const [way, what] of [
  ["throw", "fails"],
  ["exit", "leaves without a farewell, though with exit code 0"],
] as const)
  test(`a rank that ${what} ends the others`, async () => {
    const started = performance.now();
    const { code, stderr } = await startRanks(3, child("ranks/loss_child", "10", way)).ended;
    assert.notEqual(code, 0);
    assert.ok(performance.now() - started < 15_000);
    assert.match(stderr, new RegExp(`rank 2 on ${os.hostname()} was lost ${where}`));
    if (way !== "throw") return;
    assert.match(stderr, /Error: a step that failed/);
    assert.match(stderr, /at step 20 .*: it failed with exit code 1; its log says why/);
  });

test("a rank that is killed while all are in a collective beside their own work", async () => {
  const running = startRanks(3, child("ranks/loss_child", "20", "aside"));
  const pids = await processes(running, 3);
  const { seconds, stderr } = await lose(running, () => process.kill(pids.get(1)!, "SIGKILL"));
  assert.ok(seconds < 10, `${seconds} s`);
  assert.match(stderr, new RegExp(`rank 1 on ${os.hostname()} was lost at step`));
});

test("a rank whose device fails before a collective aside ends the others, who are in it", async () => {
  const started = performance.now();
  const { code, stderr } = await startRanks(3, child("ranks/loss_child", "20", "aside, failing"))
    .ended;
  assert.notEqual(code, 0);
  assert.ok(performance.now() - started < 15_000);
  assert.match(stderr, /softmaxCrossEntropy: target: expected/);
  assert.match(stderr, /rank 2 on \S+ was lost at step 21 after 20 collectives: it failed with/);
});

test("ranks that are out of step are told so, not left waiting", async () => {
  const { code, stderr } = await startRanks(2, child("ranks/loss_child", "10", "mismatch")).ended;
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    /the ranks are out of step: rank 0 on \S+ is at step 21 in allReduce \(collective 21\).*, rank 1 on \S+ at step 2\d in barrier \(collective 21\)/,
  );
});

test("a rank that never comes to a collective is named", async () => {
  const { code, stderr } = await startRanks(3, child("ranks/loss_child", "30", "late")).ended;
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    /rank \d on \S+ was at step 21 in allReduce .*longer than 2 s; it waits for rank 2 on \S+, which is at step 20 after 20 collectives/,
  );
});

test("a run that ends is no loss", async () => {
  const { code, stdout, stderr } = await startRanks(4, child("ranks/loss_child", "10", "end"))
    .ended;
  assert.equal(code, 0, stderr);
  assert.equal(stdout.match(/ended/g)?.length, 4);
  assert.equal(stderr, "");
});

// A cut network: on SIGUSR2 the kernel drops whatever comes in on this process's TCP connections, so that
// nothing is acknowledged and nothing is closed.
const cut = `
#include <linux/filter.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
static void drop(int n) {
  struct sock_filter nothing = {BPF_RET | BPF_K, 0, 0, 0};
  struct sock_fprog program = {1, &nothing};
  (void)n;
  for (int fd = 3; fd < 256; ++fd) {
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    if (getsockname(fd, (struct sockaddr*)&at, &size) == 0 &&
        (at.ss_family == AF_INET || at.ss_family == AF_INET6))
      setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  }
}
__attribute__((constructor)) static void begin(void) { signal(SIGUSR2, drop); }
`;
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-cut-"));
const library = path.join(folder, "cut.so");
if (hasMpirun) {
  writeFileSync(path.join(folder, "cut.c"), cut);
  spawnSync("cc", ["-shared", "-fPIC", "-o", library, path.join(folder, "cut.c")]);
}

for (const rank of [0, 1])
  test(
    `rank ${rank} is cut off`,
    async () => {
      const env = { LD_PRELOAD: library };
      const running = startRanks(2, child("ranks/loss_child", "60"), { env });
      const pids = await processes(running, 2);
      // mpirun's own connection is cut too, so that the ranks must end by themselves.
      const { seconds, stderr } = await lose(running, () =>
        process.kill(pids.get(rank)!, "SIGUSR2"),
      );
      assert.ok(seconds < 10, `${seconds} s`);
      assert.match(
        stderr,
        /rank \d (?:on \S+ was lost at step.*: it was cut off|at 127.0.0.1 was lost: cut off)/,
      );
      assert.match(stderr, new RegExp(where));
    },
    existsSync(library),
  );

tests.after(() => rmSync(folder, { recursive: true, force: true }));
tests.run();
