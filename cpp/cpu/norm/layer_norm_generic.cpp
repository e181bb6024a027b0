#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/norm/layer_norm_rows.h"
