#include "daemon/seeds/part_writer.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string_view>
#include <vector>

#include "common/beneath.h"
#include "common/format.h"
#include "common/path_parts.h"
#include "common/unique_fd.h"
#include "common/visible_text.h"

namespace buildwarden::seeds {
namespace {

constexpr std::size_t kPiece = std::size_t{1024} * 1024;

// Of one file: a step of a build may make a file of millions of holes, and each takes memory here, in the archive's map
// of the file and in whoever reads it.
constexpr std::size_t kMostRegions = 10'000;

struct Region {
  off_t from;
  off_t to;
};

Error cannot(const std::string& path, std::string_view doing) {
  return Error::from_errno(errno, format("{} {}", doing, visible(path)));
}

// The parts of a file that are no holes (lseek(2)); all of it where the filesystem does not tell. Where there
// are too many, all from the last that is kept to the file's end counts as one.
std::vector<Region> regions_of(int file, off_t size) {
  std::vector<Region> regions;
  for (off_t at = 0; at < size;) {
    if (regions.size() == kMostRegions) {
      regions.back().to = size;
      break;
    }
    const auto from = ::lseek(file, at, SEEK_DATA);
    if (from < 0 && errno == ENXIO) break;
    const auto to = from < 0 ? -1 : ::lseek(file, from, SEEK_HOLE);
    if (to < 0) return {{0, size}};
    regions.push_back({from, std::min(to, size)});
    at = to;
  }
  return regions;
}

// SELinux's labels are of the host's policy, and its kernel gives new ones.
bool is_kept(std::string_view attribute) { return attribute != "security.selinux"; }

Result<void> add_attributes(archive_entry* entry, int descriptor, const std::string& path) {
  std::vector<char> names(XATTR_LIST_MAX);
  const auto size = ::flistxattr(descriptor, names.data(), names.size());
  if (size < 0 && errno == ENOTSUP) return {};
  if (size < 0) return cannot(path, "list the attributes of");
  std::vector<char> value(XATTR_SIZE_MAX);
  for (const char* name = names.data(); name < names.data() + size; name += std::string_view(name).size() + 1) {
    if (!is_kept(name)) continue;
    const auto bytes = ::fgetxattr(descriptor, name, value.data(), value.size());
    if (bytes < 0) return cannot(path, "read an attribute of");
    archive_entry_xattr_add_entry(entry, name, value.data(), static_cast<std::size_t>(bytes));
  }
  return {};
}

EntryPtr entry_of(const Found& found) {
  EntryPtr entry(archive_entry_new());
  archive_entry_copy_pathname(entry.get(), found.path.c_str());
  archive_entry_set_filetype(entry.get(), found.info.st_mode & S_IFMT);
  archive_entry_set_perm(entry.get(), found.info.st_mode & 07777U);
  archive_entry_set_uid(entry.get(), found.info.st_uid);
  archive_entry_set_gid(entry.get(), found.info.st_gid);
  archive_entry_set_mtime(entry.get(), found.info.st_mtim.tv_sec, found.info.st_mtim.tv_nsec);
  archive_entry_set_size(entry.get(), 0);
  return entry;
}

}  // namespace

PartWriter::PartWriter(int folder, int to, std::function<Result<void>(Bytes)> counted, std::size_t most_names)
    : folder_(folder), to_(to), counted_(std::move(counted)), most_names_(most_names) {}

Result<void> PartWriter::open() {
  writer_.reset(archive_write_new());
  auto* writer = writer_.get();
  const bool good = writer != nullptr && archive_write_set_format_pax(writer) == ARCHIVE_OK &&
                    archive_write_add_filter_zstd(writer) == ARCHIVE_OK &&
                    archive_write_set_format_option(writer, "pax", "hdrcharset", "BINARY") == ARCHIVE_OK &&
                    archive_write_set_filter_option(writer, "zstd", "compression-level", "1") == ARCHIVE_OK &&
                    archive_write_set_bytes_in_last_block(writer, 1) == ARCHIVE_OK &&
                    archive_write_open(writer, this, nullptr, write_bytes, nullptr) == ARCHIVE_OK;
  if (!good) return broken("the part");
  return {};
}

la_ssize_t PartWriter::write_bytes(archive* of, void* self, const void* bytes, std::size_t size) {
  auto* writer = static_cast<PartWriter*>(self);
  const auto* at = static_cast<const char*>(bytes);
  for (std::size_t left = size; left > 0;) {
    const auto put = ::write(writer->to_, at, left);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      writer->closed_ = errno == EPIPE;
      archive_set_error(of, errno, "writing the part");
      return -1;
    }
    at += put;
    left -= static_cast<std::size_t>(put);
  }
  writer->hash_.update(bytes, size);
  writer->bytes_ += static_cast<Bytes>(size);
  return static_cast<la_ssize_t>(size);
}

Result<void> PartWriter::add(const Found& found) {
  auto entry = entry_of(found);
  const auto mode = found.info.st_mode;
  if (S_ISREG(mode)) return add_file(entry.get(), found);
  if (S_ISLNK(mode)) {
    std::array<char, PATH_MAX> target{};
    const auto [folder, name] = split_last(found.path);
    const auto above = open_beneath(folder_, folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    const auto size = above.open() ? ::readlinkat(above.get(), name.c_str(), target.data(), target.size() - 1) : -1;
    if (size < 0) return cannot(found.path, "read");
    archive_entry_copy_symlink(entry.get(), target.data());
  } else if (S_ISCHR(mode) || S_ISBLK(mode)) {
    const bool whiteout = S_ISCHR(mode) && found.info.st_rdev == makedev(0, 0);
    if (!whiteout)
      return Error(Errc::kInvalid, format("{} is a device node, which no seed may have", visible(found.path)));
    archive_entry_set_rdev(entry.get(), found.info.st_rdev);
  } else if (S_ISDIR(mode)) {
    const auto folder = open_beneath(folder_, found.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!folder.open()) return cannot(found.path, "open");
    auto added = add_attributes(entry.get(), folder.get(), found.path);
    if (!added) return added;
  }
  return add_header(entry.get(), found);
}

Result<void> PartWriter::add_file(archive_entry* entry, const Found& found) {
  if (found.info.st_nlink > 1) {
    const auto [known, is_new] = names_.try_emplace({found.info.st_dev, found.info.st_ino}, found.path);
    if (!is_new) {
      archive_entry_copy_hardlink(entry, known->second.c_str());
      return add_header(entry, found);
    }
    name_bytes_ += found.path.size();
    if (name_bytes_ > most_names_) {
      return Error(Errc::kTooLarge, format("the names of files with further names have more than {}",
                                           format_bytes(static_cast<Bytes>(most_names_))));
    }
  }
  const auto file = open_beneath(folder_, found.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (!file.open()) return cannot(found.path, "open");
  auto added = add_attributes(entry, file.get(), found.path);
  if (!added) return added;
  return add_content(entry, file.get(), found);
}

// libarchive takes the whole of a file, holes included, and leaves out what the entry's regions do not name.
Result<void> PartWriter::add_content(archive_entry* entry, int file, const Found& found) {
  const auto size = found.info.st_size;
  if (size > kLargestFile) {
    return Error(Errc::kTooLarge, format("{} has {}, and no file of a seed may have more than {}", visible(found.path),
                                         format_bytes(size), format_bytes(kLargestFile)));
  }
  const auto regions = regions_of(file, size);
  archive_entry_set_size(entry, size);
  const bool has_holes = size > 0 && (regions.size() != 1 || regions[0].from != 0 || regions[0].to != size);
  if (has_holes) {
    for (const auto& region : regions) archive_entry_sparse_add_entry(entry, region.from, region.to - region.from);
    if (regions.empty()) archive_entry_sparse_add_entry(entry, 0, 0);
  }
  auto done = add_header(entry, found);
  off_t at = 0;
  for (const auto& region : regions) {
    if (done) done = send_hole(region.from - at, found);
    if (done) done = send(file, region.from, region.to, found);
    at = region.to;
  }
  if (done) done = send_hole(size - at, found);
  return done;
}

Result<void> PartWriter::send(int file, off_t from, off_t to, const Found& found) {
  std::vector<char> piece(std::min(kPiece, static_cast<std::size_t>(to - from)));
  while (from < to) {
    const auto wanted = std::min(piece.size(), static_cast<std::size_t>(to - from));
    const auto got = ::pread(file, piece.data(), wanted, from);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot(found.path, "read");
    if (got == 0) return Error(Errc::kIo, format("{} became shorter while it was read", visible(found.path)));
    auto counted = counted_(got);
    if (!counted) return counted;
    if (archive_write_data(writer_.get(), piece.data(), static_cast<std::size_t>(got)) != got)
      return broken(found.path);
    from += got;
  }
  return {};
}

Result<void> PartWriter::send_hole(off_t size, const Found& found) {
  static const std::vector<char> zeros(kPiece);
  while (size > 0) {
    const auto piece = std::min(zeros.size(), static_cast<std::size_t>(size));
    auto counted = counted_(0);
    if (!counted) return counted;
    const auto taken = archive_write_data(writer_.get(), zeros.data(), piece);
    if (taken <= 0) return broken(found.path);
    size -= static_cast<off_t>(taken);
  }
  return {};
}

Result<void> PartWriter::add_header(archive_entry* entry, const Found& found) {
  if (archive_write_header(writer_.get(), entry) != ARCHIVE_OK) return broken(found.path);
  return {};
}

Result<PartWritten> PartWriter::close() {
  if (archive_write_close(writer_.get()) != ARCHIVE_OK) return broken("the part's end");
  return PartWritten{bytes_, hash_.digits()};
}

Error PartWriter::broken(const std::string& path) const {
  const auto* why = writer_ ? archive_error_string(writer_.get()) : nullptr;
  return {Errc::kIo, format("{}: {}", visible(path), why == nullptr ? "it cannot be packed" : visible(why))};
}

}  // namespace buildwarden::seeds
