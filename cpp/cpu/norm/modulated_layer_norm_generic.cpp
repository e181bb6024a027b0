#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/norm/modulated_layer_norm_rows.h"
