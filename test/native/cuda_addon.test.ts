// The addon with the cuda column on a machine without a driver: it loads, says what is missing, and the cpu is there
// as ever. The addon is the installed one, or the one that SRPO_CUDA_ADDON names.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import { native } from "../../ts/native/binding.js";
import { addonPath, packageRoot } from "../../ts/native/load.js";

const named = process.env["SRPO_CUDA_ADDON"];
const addon = named ?? (native.cudaText() === "not in this build" ? undefined : addonPath);
const test = suite("the addon with the cuda column");

/** What a script prints that runs with that addon. */
function printed(script: string): string {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["--input-type=module", "--eval", script],
    { cwd: packageRoot, encoding: "utf8", env: { ...process.env, SRPO_ADDON: addon } },
  );
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

if (addon === undefined)
  test.skip("not built: npm run build:cuda, or SRPO_CUDA_ADDON names one", () => {});
else {
  test("it asks for neither the driver nor CUDA's libraries", () => {
    const { stdout, status } = spawnSync("ldd", [addon], { encoding: "utf8" });
    assert.equal(status, 0);
    assert.match(stdout, /libc\.so/);
    assert.doesNotMatch(stdout, /libcu|nvrtc|not found/i);
  });

  test("it computes on the cpu", () => {
    const script = `
      const { tensor, ops } = await import("./dist/ts/index.js");
      console.log((await ops.affine(tensor([1, 2], [2]), 2, 1).read()).join(" "));`;
    assert.equal(printed(script), "3 5");
  });

  test("the cuda device is there, or the reason why not", () => {
    const script = `
      const { native } = await import("./dist/ts/native/binding.js");
      const { hasDevice } = await import("./dist/ts/index.js");
      let said = "";
      try { native.tensorZeros([1], "float32", "cuda:0"); } catch (error) { said = error.code + " " + error.message; }
      console.log(JSON.stringify({ text: native.cudaText(), there: hasDevice("cuda:0"), said }));`;
    const { text, there, said } = JSON.parse(printed(script)) as Record<string, string>;
    assert.match(text!, /^(cuda:0: .+|no NVIDIA (driver|card).*|an NVIDIA driver for CUDA .+)/);
    if (there) return;
    assert.match(said!, /^ERR_DEVICE device: expected one of .*cpu.*, got cuda:0 \(found: /);
    assert.ok(said!.endsWith(`(found: ${text})`), said);
  });
}

test.run();
