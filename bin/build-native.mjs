// Builds the addon: the ladder that `npm install` climbs (with --soft, which never fails an install) and
// that the first command climbs where the install could not.
//
//   node bin/build-native.mjs [--soft] [--werror] [--sanitize] [--force] [--emulated] [--cuda]
//
//   c++ and cmake                      cmake-js
//   c++, make and python3, no cmake    node-gyp, the cpu column; also where cmake cannot configure, an old
//                                      one. Never after a compile error, which it would only repeat
//   no compiler                        nothing; build/why-not.txt says so, for doctor and the loader
//
// --emulated builds the emulated device's library too, which no install does; it needs cmake.
// --cuda builds the cuda column into the addon; so does an install where there is a GPU. It needs cmake and
// nvcc; without nvcc the cpu column is built alone.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, cpSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fingerprint } from "./fingerprint.mjs";
import { packageRoot } from "./package_root.mjs";

const require = createRequire(import.meta.url);
const root = packageRoot();
const build = path.join(root, "build");
const stampFile = path.join(build, "stamp.txt");
const whyNot = path.join(build, "why-not.txt");
const addon = path.join(build, "Release", "srpo_native.node");
const asked = new Set(process.argv.slice(2));
const known = new Set(["--soft", "--werror", "--sanitize", "--force", "--emulated", "--cuda"]);
for (const flag of asked)
  if (!known.has(flag)) {
    console.error(`build-native: expected ${[...known].join(", ")}, got ${flag}`);
    process.exit(2);
  }

const has = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
let cuda = (asked.has("--cuda") || existsSync("/dev/nvidiactl")) && has("nvcc");
if (asked.has("--cuda") && !cuda)
  console.error("srpo-native: nvcc was not found: the addon is built without the cuda column");
const jobs = String(os.availableParallelism());
const problems = [];

function run(module, args) {
  const done = spawnSync(process.execPath, [require.resolve(module), ...args], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 28,
  });
  if (done.status === 0) return true;
  problems.push(`${module} ${args.join(" ")}\n${done.stdout ?? ""}${done.stderr ?? ""}`);
  return false;
}

/** node-gyp wants a folder of Node's headers; Node-API's own, from the registry, are all it needs. */
function nodeFolder() {
  const folder = path.join(root, ".nodedir");
  const headers = path.join(folder, "include/node");
  cpSync(require("node-api-headers").include_dir, headers, { recursive: true });
  writeFileSync(path.join(headers, "config.gypi"), "{'target_defaults':{},'variables':{}}\n");
  writeFileSync(
    path.join(headers, "common.gypi"),
    `{'variables':{},'target_defaults':{'default_configuration':'Release',
  'configurations':{'Release':{'cflags':['-O3','-DNDEBUG']},'Debug':{'cflags':['-g','-O0']}},
  'cflags':['-fPIC','-pthread','-fvisibility=hidden'],'ldflags':['-pthread']}}\n`,
  );
  return folder;
}

/** "built"; "configured", if the sources do not compile; or "nothing". */
function withCmake() {
  const options = [
    `--CDSRPO_CUDA=${cuda ? "ON" : "OFF"}`,
    asked.has("--werror") && "--CDSRPO_WERROR=ON",
    asked.has("--sanitize") && "--CDSRPO_SANITIZE=ON",
  ].filter(Boolean);
  // cmake-js configures a folder once, with the options of the first call: these may be others.
  if (!run("cmake-js/bin/cmake-js", ["configure", ...options])) return "nothing";
  const build = ["build", "-p", jobs, ...options];
  const built =
    run("cmake-js/bin/cmake-js", build) &&
    (!asked.has("--emulated") ||
      run("cmake-js/bin/cmake-js", [...build, "--target", "srpo_emulation"]));
  return built ? "built" : "configured";
}

function withNodeGyp() {
  rmSync(build, { recursive: true, force: true }); // the two doors leave different makefiles
  const nodedir = `--nodedir=${nodeFolder()}`;
  return run("node-gyp/bin/node-gyp.js", ["rebuild", nodedir, "--jobs", jobs]);
}

/** Waits while another process builds here; its lock is taken over if it died. */
function lock() {
  const file = path.join(root, ".build-lock");
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; ; ++waited) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      process.on("exit", () => rmSync(file, { force: true }));
      return;
    } catch (error) {
      if (error.code !== "EEXIST") return; // a read-only folder: the build will say so
    }
    let owner = 0;
    try {
      owner = Number(readFileSync(file, "utf8"));
    } catch {
      // Its owner has just ended.
    }
    if (owner > 0 && !existsSync(`/proc/${owner}`)) rmSync(file, { force: true });
    else if (waited === 0) console.error("srpo-native: another process builds the addon; waiting");
    Atomics.wait(sleep, 0, 0, 200);
  }
}

if (process.env.SRPO_SKIP_BUILD) process.exit(0);
// Where MPI is, the ranks' library is built too: an installed MPI is a reason to build again.
const mpi = has("mpicxx");
const flags = ["--werror", "--sanitize"].filter((flag) => asked.has(flag));
const now = [
  fingerprint(root, ["cpp", "cuda", "test/cuda", "CMakeLists.txt", "binding.gyp"]),
  process.platform,
  process.arch,
  ...flags,
  ...(cuda ? ["--cuda"] : []),
  ...(mpi ? ["mpi"] : []),
].join(" ");
const emulated = path.join(build, "Release", "srpo_emulated.so");
const emulatedStamp = path.join(build, "stamp-emulated.txt");
const isStamped = (file, stamp) =>
  existsSync(file) && existsSync(stamp) && readFileSync(stamp, "utf8") === now;
const isCurrent = () =>
  isStamped(addon, stampFile) && (!asked.has("--emulated") || isStamped(emulated, emulatedStamp));
if (!asked.has("--force") && isCurrent()) process.exit(0);
lock();
if (!asked.has("--force") && isCurrent()) process.exit(0);

const hasNodeGyp = () =>
  has("make") && has("python3") && flags.length === 0 && !asked.has("--emulated");
let done = false;
if (!has("c++")) {
  problems.push("no C++ compiler (c++) was found; on Debian: apt-get install g++ make python3");
} else if (has("cmake")) {
  let reached = withCmake();
  if (reached !== "built" && cuda && !asked.has("--cuda")) {
    // A GPU is no reason to have no addon: the cpu column alone.
    cuda = false;
    reached = withCmake();
  }
  done = reached === "built" || (reached === "nothing" && !cuda && hasNodeGyp() && withNodeGyp());
} else if (asked.has("--emulated") || asked.has("--cuda")) {
  problems.push("the emulated and the cuda device need cmake to be built");
} else if (hasNodeGyp()) {
  done = withNodeGyp();
} else {
  problems.push("neither cmake, nor make with python3, was found");
}
mkdirSync(build, { recursive: true });
if (done) {
  writeFileSync(stampFile, now);
  if (asked.has("--emulated")) writeFileSync(emulatedStamp, now);
  rmSync(whyNot, { force: true });
} else {
  writeFileSync(whyNot, problems.join("\n\n"));
  console.error(`srpo-native: the native addon was not built; see ${whyNot}\n`);
  if (!asked.has("--soft")) console.error(problems.join("\n\n").slice(-8000));
}
process.exit(done || asked.has("--soft") ? 0 : 1);
