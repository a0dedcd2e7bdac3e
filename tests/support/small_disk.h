// A real filesystem of its own on a loop device, for one test; needs root. It can be filled to the last block.
#pragma once

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/command.h"

namespace buildwarden::testing {

class SmallDisk {
 public:
  // `kind`: "ext4" or "xfs" (which takes no less than 300 MiB). Throws what mkfs and mount said.
  SmallDisk(const std::string& kind, int mebibytes) {
    char pattern[] = "/tmp/bw-disk.XXXXXX";
    if (::mkdtemp(pattern) == nullptr) throw std::runtime_error("no temporary folder can be made");
    folder_ = pattern;
    const auto image = folder_ + "/image";
    const auto make = std::string(kind == "xfs" ? "mkfs.xfs -qf " : "mkfs.ext4 -qF ") + image;
    const auto made = run_shell("truncate -s " + std::to_string(mebibytes) + "M " + image + " && " + make +
                                " && mkdir " + path() + " && mount -o loop " + image + " " + path());
    if (made.exit_code != 0) {
      run_shell("rm -rf --one-file-system " + folder_);
      throw std::runtime_error(made.out);
    }
    // ext4 keeps 2 % from everybody, root included; without them not a block is left.
    run_shell("echo 0 > /sys/fs/ext4/$(basename $(findmnt -no SOURCE " + path() + "))/reserved_clusters");
  }
  ~SmallDisk() {
    empty();
    run_shell("umount " + path() + " && rm -rf --one-file-system " + folder_);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] std::string path() const { return folder_ + "/mount"; }

  // As root, until nothing more can be written.
  void fill() const {
    const int fd = ::open(filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) throw std::runtime_error("the disk cannot be filled");
    static const std::vector<char> bytes(1'048'576, 'f');
    for (const std::size_t amount : {bytes.size(), std::size_t{4096}, std::size_t{1}}) {
      while (::write(fd, bytes.data(), amount) > 0) {
      }
      ::fsync(fd);
    }
    ::close(fd);
  }
  void empty() const { ::unlink(filler().c_str()); }

  [[nodiscard]] std::uint64_t free_blocks() const {
    struct statvfs info{};
    if (::statvfs(path().c_str(), &info) != 0) throw std::runtime_error("statvfs failed");
    return info.f_bfree;
  }

 private:
  [[nodiscard]] std::string filler() const { return path() + "/filler"; }
  std::string folder_;
};

}  // namespace buildwarden::testing
