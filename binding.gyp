# The fallback build, for a machine without CMake: the cpu column alone, by node-gyp.
{
  # Empty where MPI is not.
  "variables": { "mpi": "<!(node bin/find_mpi.mjs)" },
  "targets": [
    {
      "target_name": "srpo_native",
      "sources": [
        "<!@(node -p \"require('fs').readFileSync('cpp/sources.txt', 'utf8').split('\\n').filter((l) => l && !l.startsWith('#')).join(' ')\")"
      ],
      "include_dirs": [
        ".",
        "<!(node -p \"require('node-addon-api').include_dir\")",
        "<!(node -p \"require('node-api-headers').include_dir\")"
      ],
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_CPP_EXCEPTIONS_ALL",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags_cc": [
        "-std=gnu++20", "-O3", "-Wall", "-Wextra", "-Wno-psabi", "-Wno-restrict", "-fno-math-errno",
        "-fno-trapping-math", "-fexceptions"
      ],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti"]
    }
  ],
  "conditions": [
    ["mpi!=''", {
      "targets": [
        {
          "target_name": "srpo_mpi",
          "sources": ["cpp/comm/mpi/library.cpp"],
          "include_dirs": [".", "<!@(node bin/find_mpi.mjs include)"],
          "libraries": ["<!@(node bin/find_mpi.mjs libraries)"],
          "cflags_cc": ["-std=gnu++20", "-O3", "-Wall", "-Wextra", "-fexceptions"],
          "cflags_cc!": ["-fno-exceptions", "-fno-rtti"]
        }
      ]
    }]
  ]
}
