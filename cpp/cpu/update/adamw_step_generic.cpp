#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/update/adamw_step_rows.h"
