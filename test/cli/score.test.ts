import assert from "node:assert/strict";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { gridOf, gridText } from "../../ts/data/grid.js";
import { encodePng } from "../../ts/data/png.js";
import { captions, noisePicture, writePictures, writeRewards } from "../rewards/tiny_rewards.js";
import { at, fails, succeed } from "../support/cli.js";

const test = suite("score");
interface Report {
  pictures: { name: string; group?: string; prompt: string; scores: Record<string, number> }[];
  groups: { name: string; mean: Record<string, number> }[];
  mean: Record<string, number>;
}
const scores = async (...args: string[]) =>
  JSON.parse((await succeed("score", ...args, "--json")).stdout) as Report;

test.before(async () => {
  await writeRewards(at("rewards"));
  writePictures(at("pictures"));
});
const reward = (name: string) => at("rewards", name);

test("a folder of pictures and captions, every reward by what its folder is", async () => {
  const rewards = ["hps", "pickscore", "aesthetic", "imagereward"].map(reward).join(",");
  const { stdout } = await succeed("score", at("pictures"), "--reward", rewards);
  assert.match(
    stdout,
    /^picture +HPSv2\.1 +SGP +SGP p +PickScore +Aesthetic +ImageReward +prompt\n/,
  );
  assert.match(stdout, /\n0\.png +-0\.0703 .* a red fox in the snow\n/);
  assert.match(stdout, /\nmean +-0\.1531 /);
  const one = await scores(at("pictures"), "--reward", rewards, "--batch", "1");
  const two = await scores(at("pictures"), "--reward", rewards);
  assert.deepEqual(one, two);
  assert.equal(two.pictures.length, 2);
  const [a, b] = two.pictures.map((picture) => picture.scores.ImageReward!);
  assert.ok(Math.abs(two.mean.ImageReward! - (a! + b!) / 2) < 1e-12);
});

test("prompts from a file, and rewards by the name given", async () => {
  writeFileSync(at("prompts.txt"), `${captions.join("\n")}\n`);
  for (const name of ["0.png", "1.png"]) {
    mkdirSync(at("bare"), { recursive: true });
    cpSync(at("pictures", name), at("bare", name));
  }
  const named = ["--reward", `clip=${reward("hps")}`];
  const { pictures } = await scores(at("bare"), ...named, "--prompts", at("prompts.txt"));
  const beside = await scores(at("pictures"), ...named);
  assert.deepEqual(pictures, beside.pictures);
  // As sample --count writes: several of one prompt in a row.
  writeFileSync(at("one.txt"), `${captions[0]}\n`);
  const both = await scores(at("bare"), ...named, "--prompts", at("one.txt"));
  assert.deepEqual(
    both.pictures.map(({ prompt }) => prompt),
    [captions[0], captions[0]],
  );
  await fails(2, /expected a prompt for each in .*bare.* got none for 0\.png, 1\.png/, [
    "score",
    at("bare"),
    ...named,
  ]);
  writeFileSync(at("three.txt"), "a\nb\nc\n");
  await fails(2, /expected one a prompt, or as many of each, for 3 prompts, got 2 in/, [
    "score",
    at("bare"),
    "--prompts",
    at("three.txt"),
    ...named,
  ]);
});

test("a run's sample grids, cut into their pictures; the PNG's own prompt", async () => {
  const pictures = [noisePicture(16, 12, 1), noisePicture(16, 12, 2), noisePicture(16, 12, 3)];
  const prompts = ["a red fox", "painted", "snow é"];
  mkdirSync(at("run", "samples"), { recursive: true });
  writeFileSync(at("run", "config.yaml"), "");
  const text = gridText({ prompts, width: 16, height: 12, columns: 2 });
  writeFileSync(at("run", "samples", "step-000001.png"), encodePng(gridOf(pictures, 2), text));
  mkdirSync(at("single"));
  for (const [i, prompt] of prompts.entries())
    writeFileSync(at("single", `${i}.png`), encodePng(pictures[i]!, { prompt }));
  const run = await scores(at("run"), "--reward", reward("imagereward"));
  const single = await scores(at("single"), "--reward", reward("imagereward"));
  assert.deepEqual(
    run.pictures.map(({ prompt, scores: s }) => [prompt, s]),
    single.pictures.map(({ prompt, scores: s }) => [prompt, s]),
  );
  assert.deepEqual(run.groups, [{ name: "step-000001", mean: run.mean }]);
  assert.deepEqual(
    run.pictures.map(({ name }) => name),
    ["step-000001#0", "step-000001#1", "step-000001#2"],
  );
  const wrong = gridText({ prompts, width: 17, height: 12, columns: 2 });
  writeFileSync(at("run", "samples", "step-000001.png"), encodePng(gridOf(pictures, 2), wrong));
  await fails(1, /step-000001\.png: expected the grid that its text describes, got another size/, [
    "score",
    at("run"),
    "--reward",
    reward("imagereward"),
  ]);
});

test("what is wrong is said by name", async () => {
  const pictures = at("pictures");
  await fails(2, /reward: expected one or more, got none/, ["score", pictures]);
  await fails(2, /expected one folder of pictures, a run or a picture, got 0/, ["score"]);
  await fails(2, /reward: expected a file or a folder, got none at .*nowhere/, [
    "score",
    pictures,
    "--reward",
    at("nowhere"),
  ]);
  await fails(2, /reward: expected PATH or NAME=PATH with NAME of hps, .*, got vmaf=/, [
    "score",
    pictures,
    "--reward",
    `vmaf=${reward("hps")}`,
  ]);
  await fails(2, /reward: expected one for ImageReward, got two/, [
    "score",
    pictures,
    "--reward",
    `${reward("imagereward")},${reward("imagereward")}`,
  ]);
  await fails(2, /pictures: expected a folder or a picture, got none at/, [
    "score",
    at("nothing"),
    "--reward",
    reward("hps"),
  ]);
  cpSync(reward("hps"), at("headless"), { recursive: true });
  for (const name of ["vocab.json", "merges.txt"]) rmSync(path.join(at("headless"), name));
  await fails(
    1,
    /expected vocab\.json and merges\.txt beside the reward, or .* \(--vocabulary\), got neither/,
    ["score", pictures, "--reward", at("headless")],
  );
  await succeed("score", pictures, "--reward", at("headless"), "--vocabulary", reward("hps"));
});
test.run();
