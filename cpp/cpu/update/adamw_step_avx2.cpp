#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/update/adamw_step_rows.h"
