// Slurm's short form of host names, and lists made to hurt.
import assert from "node:assert/strict";
import { test } from "uvu";
import { expandNodeList } from "../../ts/ranks/node_list.js";

const read: readonly (readonly [string, string])[] = [
  ["node", "node"],
  ["a,b,c", "a b c"],
  ["node[01-04,7],x", "node01 node02 node03 node04 node7 x"],
  ["node[08-11]", "node08 node09 node10 node11"],
  ["node[8-11]", "node8 node9 node10 node11"],
  ["node[099-101].rack", "node099.rack node100.rack node101.rack"],
  ["gpu-[1-2]x[3-4]", "gpu-1x3 gpu-1x4 gpu-2x3 gpu-2x4"],
  ["[1-2]", "1 2"],
  ["n[1,[3-4,[6]],8]", "n1 n3 n4 n6 n8"],
  [
    "node[01-04,7],gpu-[1-2]x[3-4]",
    "node01 node02 node03 node04 node7 gpu-1x3 gpu-1x4 gpu-2x3 gpu-2x4",
  ],
  ["host_1.domain.org", "host_1.domain.org"],
  ["n[0]", "n0"],
];

const refused: readonly (readonly [string, RegExp])[] = [
  ["", /expected a host at character 1, got the end/],
  [",", /expected a host/],
  ["a,", /expected a host at character 3, got the end/],
  ["a,,b", /expected a host/],
  ["n[1-2", /expected "\]" or a comma at character 6, got the end/],
  ["n1-2]", /expected a comma or the end at character 5, got "\]"/],
  ["n[]", /expected a number/],
  ["n[1-]", /expected a number/],
  ["n[-2]", /expected a number/],
  ["n[a-b]", /expected a number/],
  ["n[4-1]", /expected a range that goes up, not 4-1/],
  ["n[1-2-3]", /expected "\]" or a comma/],
  ["n[1;2]", /expected "\]" or a comma/],
  ["n 1", /expected a comma or the end/],
  ["n\u0000", /expected a comma or the end/],
  ["$(reboot)", /expected a host/],
  ["n[1-1000000]", /at most 100000 hosts/],
  ["n[1-99999999999999999999]", /at most nine digits/],
  ["n[1-1000][1-1000]", /at most 100000 hosts/],
  ["[1-99][1-99][1-99][1-99][1-99][1-99][1-99][1-99]", /at most 100000 hosts/],
  [Array.from({ length: 30 }, (_, i) => `n${i}-[1-9999]`).join(","), /at most 100000 hosts/],
  [`n[${Array.from({ length: 30 }, () => "1-9999").join(",")}]`, /at most 100000 hosts/],
  [`n${"[".repeat(100_000)}1${"]".repeat(100_000)}`, /at most 8 brackets within each other/],
  ["n".repeat(300), /at most 253 characters/],
  ["[1]".repeat(300), /at most 253 characters/],
  ["n,".repeat(600_000), /at most 1048576 characters/],
];

for (const [text, hosts] of read)
  test(`reads ${text}`, () => {
    assert.deepEqual(expandNodeList(text), hosts.split(" "));
  });

for (const [text, words] of refused)
  test(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
    const started = performance.now();
    assert.throws(() => expandNodeList(text), { code: "ERR_CONFIG", message: words });
    assert.ok(performance.now() - started < 1000);
  });

test("refuses garbage by name, whatever it is", () => {
  const letters = "n[]-,01 ";
  let state = 7;
  for (let round = 0; round < 20_000; ++round) {
    let text = "";
    for (let i = 0; i < 12; ++i) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      text += letters[(state >>> 16) % letters.length];
    }
    try {
      const hosts = expandNodeList(text);
      assert.ok(hosts.length > 0 && hosts.every((host) => /^[n0-9-]+$/.test(host)), text);
    } catch (error) {
      assert.match((error as Error).message, /^SLURM_JOB_NODELIST: expected /);
    }
  }
});

test.run();
