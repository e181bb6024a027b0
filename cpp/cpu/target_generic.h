// First line of a kernel file for any x86-64; nothing may be included above it.
/// The name that this target gives a table: SRPO_NAMED(add_) is add_generic.
#define SRPO_NAMED(name) name##generic
