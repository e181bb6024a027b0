#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/random/random_fill_rows.h"
