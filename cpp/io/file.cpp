#include "cpp/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "cpp/core/check.h"

namespace srpo::io {
namespace {

std::string text_of(int error) {
  return std::generic_category().message(error);
}

}  // namespace

// Not blocking: the open of a pipe would wait for a writer that may never come.
File::File(const std::string& path)
    : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0)
    refuse("ERR_CHECKPOINT", path.c_str(), "file", "a readable file", text_of(errno));
  struct stat status = {};
  const bool known = fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const char* got = known && S_ISDIR(status.st_mode) ? "a folder" : "something else";
    close(descriptor_);
    refuse("ERR_CHECKPOINT", path.c_str(), "file", "a regular file", got);
  }
  size_ = status.st_size;
}

File::~File() {
  close(descriptor_);
}

void File::read(void* to, size_t bytes, int64_t offset, const char* what) const {
  constexpr size_t kMost = size_t{1} << 30;  // Linux reads at most 2^31 - 4096 bytes a call
  size_t done = 0;
  while (done < bytes) {
    const int64_t at = offset + static_cast<int64_t>(done);
    const ssize_t got =
        pread(descriptor_, static_cast<char*>(to) + done, std::min(bytes - done, kMost), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      refuse("ERR_CHECKPOINT", path_.c_str(), what,
             std::to_string(bytes) + " bytes from byte " + std::to_string(offset),
             got < 0 ? text_of(errno) : "the end of the file at byte " + std::to_string(at));
    done += static_cast<size_t>(got);
  }
}

}  // namespace srpo::io
