#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/random/random_fill_rows.h"
