#include "daemon/seeds/unpacker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <string_view>

#include "common/beneath.h"
#include "common/format.h"
#include "common/path_parts.h"
#include "common/unique_fd.h"
#include "common/visible_text.h"
#include "daemon/seeds/archive_entry_ptr.h"
#include "daemon/seeds/sha256.h"

namespace buildwarden::seeds {
namespace {

constexpr std::size_t kReadSize = std::size_t{256} * 1024;
constexpr mode_t kModeBits = 07777;
// Of all entries together: values of attributes take room that no manifest names. A builder's have some bytes each.
constexpr Bytes kFreeAttributes = kMiB;
constexpr Bytes kAttributesOfEntry = 256;

// For people: an archive may name things with any bytes.
std::string shown_name(std::string_view path) { return visible(path); }

Error refused(std::string_view path, std::string_view why) {
  return {Errc::kInvalid, format("{}: {}", shown_name(path), why)};
}

Error failed(std::string_view path, std::string_view doing) {
  return Error::from_errno(errno, format("{} {}", doing, shown_name(path)));
}

bool is_component(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= NAME_MAX;
}

// A relative name of components; as the archive has it, but for one slash at the end.
Result<std::string> checked_path(const char* given) {
  std::string path = given == nullptr ? "" : given;
  if (path.ends_with('/')) path.pop_back();
  if (path.size() >= PATH_MAX) return refused(path.substr(0, NAME_MAX), "a name that long is refused");
  std::string_view rest = path;
  for (;;) {
    const auto slash = rest.find('/');
    if (!is_component(rest.substr(0, slash))) return refused(path, "a name that may lead out of the volume is refused");
    if (slash == std::string_view::npos) return path;
    rest.remove_prefix(slash + 1);
  }
}

// A part's bytes as libarchive takes them, hashed on the way.
struct Source {
  Source(int from, Bytes limit) : descriptor(from), most(limit), buffer(kReadSize) {}

  int descriptor;
  Bytes most;
  std::vector<char> buffer;
  Sha256 hash;
  Bytes bytes = 0;
  int error = 0;

  // Below 0: errno is kept.
  ssize_t more() {
    ssize_t got = 0;
    do got = ::read(descriptor, buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    if (got < 0) error = errno;
    if (got > 0) {
      hash.update(buffer.data(), static_cast<std::size_t>(got));
      bytes += got;
    }
    if (bytes <= most) return got;
    error = EMSGSIZE;
    return -1;
  }
};

la_ssize_t read_source(archive* of, void* data, const void** bytes) {
  auto* source = static_cast<Source*>(data);
  *bytes = source->buffer.data();
  const auto got = source->more();
  if (got < 0) archive_set_error(of, source->error, "reading the part");
  return got;
}

Result<Reader> open_reader(Source& source) {
  Reader reader(archive_read_new());
  if (!reader) return Error(Errc::kIo, "no memory for an archive");
  archive_read_support_format_tar(reader.get());
  archive_read_support_filter_zstd(reader.get());
  if (archive_read_open(reader.get(), &source, nullptr, read_source, nullptr) != ARCHIVE_OK) {
    const auto* why = archive_error_string(reader.get());
    return Error(Errc::kProtocol, format("no archive: {}", why == nullptr ? "it is empty" : why));
  }
  return reader;
}

bool may_be_set(std::string_view attribute) {
  constexpr std::array<std::string_view, 3> kKinds = {"user.", "trusted.", "security."};
  for (const auto kind : kKinds) {
    if (attribute.starts_with(kind) && attribute.size() > kind.size()) return true;
  }
  return attribute == "system.posix_acl_access" || attribute == "system.posix_acl_default";
}

timespec time_of(archive_entry* entry) { return {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}; }

Result<void> set_times(int descriptor, timespec modified, const std::string& path) {
  const std::array<timespec, 2> times = {modified, modified};
  if (::futimens(descriptor, times.data()) != 0) return failed(path, "set the time of");
  return {};
}

Result<void> write_at(int descriptor, const char* bytes, std::size_t size, off_t at) {
  while (size > 0) {
    const auto put = ::pwrite(descriptor, bytes, size, at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error::from_errno(errno, "write");
    bytes += put;
    size -= static_cast<std::size_t>(put);
    at += put;
  }
  return {};
}

}  // namespace

// One part's way into the folder.
class PartUnpacker {
 public:
  PartUnpacker(Unpacker& whole, archive* reader) : whole_(whole), reader_(reader) {}

  Result<void> take(archive_entry* entry, const std::string& path) {
    const auto [folder, name] = split_last(path);
    auto opened = enter(folder);
    if (!opened) return opened;
    if (archive_entry_hardlink(entry) != nullptr) return link(archive_entry_hardlink(entry), name, path);
    switch (archive_entry_filetype(entry)) {
      case AE_IFREG: return write_file(entry, name, path);
      case AE_IFLNK: return make_symlink(entry, name, path);
      case AE_IFCHR:
        if (archive_entry_rdev(entry) != makedev(0, 0)) return refused(path, "a device node is refused");
        return make_node(entry, name, path, S_IFCHR);
      case AE_IFIFO: return make_node(entry, name, path, S_IFIFO);
      default: return refused(path, "a thing of that kind is refused");
    }
  }

 private:
  Result<void> enter(const std::string& folder) {
    if (entered_.open() && folder == entered_path_) return {};
    auto opened = folder_below(folder);
    if (!opened) return std::move(opened).error();
    entered_ = *std::move(opened);
    entered_path_ = folder;
    return {};
  }

  // "": the folder itself.
  Result<UniqueFd> folder_below(const std::string& folder) {
    auto opened = open_beneath(whole_.folder_, folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!opened.open()) return refused(folder, "it is used as a folder, and was not made as one before");
    return opened;
  }

  Result<void> write_file(archive_entry* entry, const std::string& name, const std::string& path) {
    const UniqueFd file(
        ::openat(entered_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.open()) return failed(path, "make");
    const off_t size = archive_entry_size(entry);
    if (size < 0 || size > kLargestFile) return refused(path, "a size below 0 or above that of any file is refused");
    auto written = write_content(file.get(), size, path);
    if (written && ::ftruncate(file.get(), size) != 0) written = failed(path, "set the size of");
    if (written) written = whole_.set_metadata(entry, file.get(), path);
    if (written) written = set_times(file.get(), time_of(entry), path);
    return written;
  }

  Result<void> write_content(int file, off_t size, const std::string& path) {
    for (;;) {
      const void* bytes = nullptr;
      std::size_t count = 0;
      la_int64_t at = 0;
      const int got = archive_read_data_block(reader_, &bytes, &count, &at);
      if (got == ARCHIVE_EOF) return {};
      if (got != ARCHIVE_OK) return Error(Errc::kProtocol, format("{}: the archive is damaged", shown_name(path)));
      const auto all = static_cast<off_t>(count);
      if (at < 0 || at > size || all > size - at) return refused(path, "more content than its size is refused");
      auto counted = whole_.count_bytes(all);
      if (!counted) return counted;
      auto written = write_at(file, static_cast<const char*>(bytes), count, at);
      if (!written) return std::move(written).with_context(shown_name(path));
    }
  }

  Result<void> make_symlink(archive_entry* entry, const std::string& name, const std::string& path) {
    const auto* target = archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0') return refused(path, "a link to nothing is refused");
    if (::symlinkat(target, entered_.get(), name.c_str()) != 0) return failed(path, "make");
    return own_by_name(entry, name, path);
  }

  Result<void> make_node(archive_entry* entry, const std::string& name, const std::string& path, mode_t kind) {
    const mode_t mode = archive_entry_perm(entry) & kModeBits;
    if (::mknodat(entered_.get(), name.c_str(), kind | mode, makedev(0, 0)) != 0) return failed(path, "make");
    auto owned = own_by_name(entry, name, path);
    // The umask took some of it away, and the new owner the rest.
    if (owned && ::fchmodat(entered_.get(), name.c_str(), mode, 0) != 0) return failed(path, "set the mode of");
    return owned;
  }

  Result<void> own_by_name(archive_entry* entry, const std::string& name, const std::string& path) {
    const auto owner = static_cast<uid_t>(archive_entry_uid(entry));
    const auto group = static_cast<gid_t>(archive_entry_gid(entry));
    if (::fchownat(entered_.get(), name.c_str(), owner, group, AT_SYMLINK_NOFOLLOW) != 0)
      return failed(path, "give away");
    const std::array<timespec, 2> times = {time_of(entry), time_of(entry)};
    if (::utimensat(entered_.get(), name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
      return failed(path, "set the time of");
    }
    return {};
  }

  Result<void> link(const char* to, const std::string& name, const std::string& path) {
    auto target = checked_path(to);
    if (!target) return refused(path, "a hard link to something outside of the volume is refused");
    const auto [folder, last] = split_last(*target);
    auto opened = folder_below(folder);
    if (!opened) return std::move(opened).error();
    struct stat info{};
    const bool regular =
        ::fstatat(opened->get(), last.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
    if (!regular) return refused(path, "a hard link to what is no file is refused");
    if (::linkat(opened->get(), last.c_str(), entered_.get(), name.c_str(), 0) != 0) return failed(path, "link");
    return {};
  }

  Unpacker& whole_;
  archive* reader_;
  UniqueFd entered_;
  std::string entered_path_;
};

Unpacker::Unpacker(int folder, Limits limits, std::function<void(Bytes)> told)
    : folder_(folder), limits_(limits), told_(std::move(told)) {}

Result<PartRead> Unpacker::read(Archive archive, bool folders) {
  Source source(archive.part, archive.most);
  auto reader = open_reader(source);
  if (!reader) return std::move(reader).error();
  PartUnpacker unpacker(*this, reader->get());
  for (;;) {
    archive_entry* entry = nullptr;
    const int got = archive_read_next_header(reader->get(), &entry);
    if (got == ARCHIVE_EOF) break;
    if (got != ARCHIVE_OK) {
      const auto* why = archive_error_string(reader->get());
      return Error(Errc::kProtocol, format("the archive is damaged: {}", why == nullptr ? "no reason" : visible(why)));
    }
    auto taken = count_entry();
    if (!taken) return std::move(taken).error();
    if (folders) {
      taken = take_folder(entry);
    } else {
      auto path = checked_path(archive_entry_pathname(entry));
      if (!path) return std::move(path).error();
      taken = unpacker.take(entry, *path);
    }
    if (!taken) return std::move(taken).error();
  }
  while (source.more() > 0) continue;  // what stands behind the archive's end is part of its checksum
  if (source.bytes > source.most) {
    return Error(Errc::kProtocol,
                 format("the archive is longer than the {} bytes that the manifest names", source.most));
  }
  if (source.error != 0) return Error::from_errno(source.error, "reading the part");
  return PartRead{source.bytes, source.hash.digits()};
}

// Owner, mode and attributes, in the order in which none takes back another.
Result<void> Unpacker::set_metadata(archive_entry* entry, int descriptor, const std::string& path) {
  const auto owner = static_cast<uid_t>(archive_entry_uid(entry));
  const auto group = static_cast<gid_t>(archive_entry_gid(entry));
  if (::fchown(descriptor, owner, group) != 0) return failed(path, "give away");
  if (::fchmod(descriptor, archive_entry_perm(entry) & kModeBits) != 0) return failed(path, "set the mode of");
  return set_attributes(entry, descriptor, path);
}

Result<void> Unpacker::set_attributes(archive_entry* entry, int descriptor, const std::string& path) {
  archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || !may_be_set(name)) return refused(path, "an attribute of that kind is refused");
    attributes_ += static_cast<Bytes>(size);
    if (attributes_ > kFreeAttributes + kAttributesOfEntry * limits_.entries) {
      return refused(path, "more attributes than its entries may have is refused");
    }
    if (::fsetxattr(descriptor, name, value, size, 0) != 0) return failed(path, "set an attribute of");
  }
  return {};
}

Result<void> Unpacker::take_folder(archive_entry* entry) {
  const std::string_view given = archive_entry_pathname(entry) == nullptr ? "" : archive_entry_pathname(entry);
  if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_hardlink(entry) != nullptr) {
    return refused(given, "the first part has folders alone");
  }
  if (given == "." || given == "./") return make_folder(entry, ".");
  auto path = checked_path(archive_entry_pathname(entry));
  if (!path) return std::move(path).error();
  return make_folder(entry, *path);
}

Result<void> Unpacker::make_folder(archive_entry* entry, const std::string& path) {
  if (path != ".") {
    const auto [parent, name] = split_last(path);
    const auto above = open_beneath(folder_, parent.empty() ? "." : parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!above.open()) return refused(path, "a folder comes before the one that it is in");
    if (::mkdirat(above.get(), name.c_str(), 0700) != 0) return failed(path, "make");
  }
  const auto made = open_beneath(folder_, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!made.open()) return failed(path, "open");
  name_bytes_ += path.size();
  if (name_bytes_ > limits_.names) return refused(path, "longer names of folders than any builder has are refused");
  times_.emplace_back(path, time_of(entry));
  return set_metadata(entry, made.get(), path);
}

Result<void> Unpacker::finish() {
  if (entries_ != limits_.entries || bytes_ != limits_.bytes) {
    return Error(Errc::kProtocol,
                 format("{} entries with {} were unpacked, and the manifest names {} with {}", entries_.load(),
                        format_bytes(bytes_), limits_.entries, format_bytes(limits_.bytes)));
  }
  for (const auto& [path, modified] : times_) {
    const auto folder = open_beneath(folder_, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!folder.open()) return failed(path, "open");
    auto done = set_times(folder.get(), modified, path);
    if (!done) return done;
  }
  return {};
}

Result<void> Unpacker::count_entry() {
  if (given_up_) return Error(Errc::kCancelled, "another part has failed");
  if (++entries_ <= limits_.entries) return {};
  return Error(Errc::kInvalid, format("there are more than the {} entries that the manifest names", limits_.entries));
}

Result<void> Unpacker::count_bytes(Bytes more) {
  const auto now = bytes_ += more;
  if (now > limits_.bytes) {
    return Error(Errc::kInvalid,
                 format("there is more than the {} that the manifest names", format_bytes(limits_.bytes)));
  }
  if (given_up_) return Error(Errc::kCancelled, "another part has failed");
  if (told_) told_(now);
  return {};
}

}  // namespace buildwarden::seeds
