#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/reduce_rows.h"
