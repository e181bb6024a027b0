#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/attention/attention_rows.h"
