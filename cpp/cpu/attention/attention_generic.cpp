#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/attention/attention_rows.h"
