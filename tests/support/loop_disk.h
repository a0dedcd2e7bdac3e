// A small filesystem of the test's own on a loop device. Needs root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace buildwarden::testing {

class LoopDisk {
 public:
  // Makes the filesystem in `image` (a sparse file, gone with it) and mounts it on `folder`, which is made. Throws when
  // that cannot be done. `more` goes to mkfs.
  LoopDisk(std::string image, std::string folder, const std::string& type, const std::string& more = "");
  ~LoopDisk();
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  void mount();
  // As an operator does it, not lazily: false when somebody holds it.
  [[nodiscard]] bool unmount();
  // Writes wait from here on, as during a snapshot.
  void freeze();
  void thaw();

  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  std::string image_;
  std::string folder_;
  bool frozen_ = false;
};

// One file that takes all that is left for `user` on the filesystem of `folder`, written as that user; gone with it.
// Made empty, since a full disk has no block for a name.
class Filler {
 public:
  Filler(const std::string& folder, uid_t user);
  ~Filler();
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;

  void fill();

 private:
  std::string file_;
  uid_t user_;
};

// f_bavail, f_bfree (bytes) and f_favail; -1 when it cannot be asked.
struct FreeSpace {
  std::int64_t to_all = -1;
  std::int64_t to_root = -1;
  std::int64_t inodes = -1;
};
FreeSpace free_space(const std::string& folder);

}  // namespace buildwarden::testing
