// What binding.gyp needs to know of MPI, from its compiler wrapper; nothing where there is none.
//
//   node bin/find_mpi.mjs [include | libraries]
import { spawnSync } from "node:child_process";

/** The first answer that the wrappers of Open MPI (--showme) or MPICH (-show) give. */
function show() {
  for (const wrapper of ["mpicxx", "mpicc"])
    for (const flag of ["--showme", "-show"]) {
      const { status, stdout } = spawnSync(wrapper, [flag], { encoding: "utf8" });
      if (status === 0) return stdout.trim().split(/\s+/);
    }
  return [];
}

const words = show();
const of = (...prefixes) => words.filter((word) => prefixes.some((one) => word.startsWith(one)));
const includes = of("-I").map((word) => word.slice(2));
const libraries = of("-L", "-l", "-Wl,").filter((word) => !/^-lmpi_?cxx$|^-lmpicxx$/.test(word));
const wanted = process.argv[2];
if (wanted === "include") console.log(includes.join(" "));
else if (wanted === "libraries") console.log(libraries.join(" "));
else console.log(words.length > 0 ? "yes" : "");
