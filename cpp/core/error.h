#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace srpo {

/// What crosses to JavaScript as an SrpoError. Codes are stable (ERR_SHAPE, ERR_DTYPE, ERR_DEVICE,
/// ERR_DISPOSED, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_CHECKPOINT, ...); messages read
/// `<op>: <argument>: expected <what>, got <what>`.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

}  // namespace srpo
