// Seeds in a folder: a shared filesystem, or for tests.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/atomic_file.h"
#include "common/beneath.h"
#include "common/format.h"
#include "daemon/seeds/manifest.h"
#include "daemon/seeds/store.h"

namespace buildwarden::seeds {
namespace {

constexpr std::size_t kMostParts = 10'000;

class FileStream final : public PartStream {
 public:
  FileStream(UniqueFd file, bool sync) : file_(std::move(file)), sync_(sync) {}
  [[nodiscard]] int descriptor() const override { return file_.get(); }
  // A part must be on the disk before a manifest names it.
  Result<void> finish() override {
    if (sync_ && ::fsync(file_.get()) != 0) return Error::from_errno(errno, "write a part");
    return {};
  }

 private:
  UniqueFd file_;
  bool sync_;
};

class FolderStore final : public Store {
 public:
  FolderStore(UniqueFd folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {}

  Result<std::string> manifest() override { return read_file(path_ + "/" + kManifestName, kLongestManifest); }
  Result<void> publish(const std::string& manifest) override {
    return write_file_atomically(path_ + "/" + kManifestName, manifest, 0600);
  }
  Result<std::unique_ptr<PartStream>> read_part(const std::string& name) override {
    UniqueFd file = open_beneath(folder_.get(), name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (!file.open()) return Error::from_errno(errno, format("open part {}", name));
    return std::unique_ptr<PartStream>(std::make_unique<FileStream>(std::move(file), false));
  }
  Result<std::unique_ptr<PartStream>> write_part(const std::string& name) override {
    UniqueFd file(::openat(folder_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.open()) return Error::from_errno(errno, format("make part {}", name));
    return std::unique_ptr<PartStream>(std::make_unique<FileStream>(std::move(file), true));
  }
  Result<std::vector<std::string>> part_names() override {
    auto entries = entries_of(folder_.get(), path_, kMostParts);
    if (!entries) return std::move(entries).error();
    std::vector<std::string> names;
    for (const auto& entry : *entries) {
      if (entry.name.ends_with(".tar.zst")) names.push_back(entry.name);
    }
    return names;
  }
  Result<void> remove_part(const std::string& name) override {
    if (::unlinkat(folder_.get(), name.c_str(), 0) != 0) return Error::from_errno(errno, format("remove {}", name));
    return {};
  }

 private:
  UniqueFd folder_;
  std::string path_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_folder_store(const Place& place, bool may_make) {
  struct stat info{};
  if (::stat(place.location.c_str(), &info) != 0) return Error::from_errno(errno, place.location);
  if (!S_ISDIR(info.st_mode)) return Error(Errc::kInvalid, format("{} is no folder", place.location));
  const auto path = place.location + "/" + place.within();
  if (may_make) {
    auto made = make_folders(path, 0700);
    if (!made) return std::move(made).error();
  }
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open() && errno == ENOENT) return Error(Errc::kNotFound, format("there is no seed in {} yet", path));
  if (!folder.open()) return Error::from_errno(errno, path);
  return std::unique_ptr<Store>(std::make_unique<FolderStore>(std::move(folder), path));
}

Result<std::unique_ptr<Store>> open_store(const Place& place, bool may_make) {
  if (place.is_s3()) return open_s3_store(place);
  return open_folder_store(place, may_make);
}

}  // namespace buildwarden::seeds
