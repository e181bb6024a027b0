#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace srpo::io {

/// A regular file open for reading. Its bytes are fetched by position, so that any thread may read;
/// a file that shrinks meanwhile is an error here, where a mapped one would end the process.
class File {
 public:
  /// Throws ERR_CHECKPOINT, naming the path, if there is no such file or it is no regular one.
  explicit File(const std::string& path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  /// All `bytes` from `offset` on; `what` is named in the error if they are not there.
  void read(void* to, size_t bytes, int64_t offset, const char* what) const;

 private:
  std::string path_;
  int descriptor_;
  int64_t size_ = 0;
};

}  // namespace srpo::io
