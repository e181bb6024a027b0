#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/update/adamw_step_rows.h"
