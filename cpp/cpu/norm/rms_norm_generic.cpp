#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/norm/rms_norm_rows.h"
