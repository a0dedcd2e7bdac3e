// Folders and archives for tests of seeds.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <string>

#include "common/unique_fd.h"

namespace buildwarden::seeds {

inline UniqueFd open_folder(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

inline UniqueFd create_file(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

// An archive of whatever entries somebody thinks of.
class HostileArchive {
 public:
  explicit HostileArchive(const std::string& path) : file_(create_file(path)), writer_(archive_write_new()) {
    archive_write_set_format_pax(writer_);
    archive_write_add_filter_zstd(writer_);
    archive_write_open_fd(writer_, file_.get());
  }
  ~HostileArchive() { archive_write_free(writer_); }
  HostileArchive(const HostileArchive&) = delete;
  HostileArchive& operator=(const HostileArchive&) = delete;

  HostileArchive& add(const std::string& name, mode_t type, const std::function<void(archive_entry*)>& change = {},
                      const std::string& content = "") {
    auto* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, type == AE_IFDIR ? 0755 : 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    if (change) change(entry);
    if (archive_write_header(writer_, entry) != ARCHIVE_OK) throw std::runtime_error(archive_error_string(writer_));
    if (!content.empty()) archive_write_data(writer_, content.data(), content.size());
    archive_entry_free(entry);
    return *this;
  }
  void close() { archive_write_close(writer_); }

 private:
  UniqueFd file_;
  archive* writer_;
};

}  // namespace buildwarden::seeds
